"""Devices: measured ones, and those of the literature."""
