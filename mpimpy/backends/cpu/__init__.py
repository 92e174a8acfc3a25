"""The backend "numba": kernels in Numba for NumPy arrays and torch CPU tensors, and their threads."""
