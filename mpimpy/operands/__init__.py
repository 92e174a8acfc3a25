"""Operands: checks at the public edge, and encoding as integers."""
