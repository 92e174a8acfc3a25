"""Analysis: counts, reports, calibration, statistics of writing, metrics."""
