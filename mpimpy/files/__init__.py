"""Chips and tables on disk."""
