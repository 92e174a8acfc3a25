"""Energy, latency and area of products."""
