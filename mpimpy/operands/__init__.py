"""Operands: what may come in, and how it becomes integers."""
