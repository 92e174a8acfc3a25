"""Crossbar products as operations that torch records, compiles and transforms."""
