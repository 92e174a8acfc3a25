"""Memristors: levels to conductances, signs, laws of variation, and the wires of a tile."""
