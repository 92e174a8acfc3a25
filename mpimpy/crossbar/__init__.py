"""The algorithm: plan, program, read and reduce, written once against the array API."""
