"""Benchmarks of mpimpy: run them as modules, such as python -m benchmarks.products."""
