"""Reports, calibration, what programming took, and metrics."""
