"""Benchmarks of mpimpy: python -m benchmarks.compare, and an asv suite in bench_*.py."""
