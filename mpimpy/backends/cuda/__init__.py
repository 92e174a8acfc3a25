"""The backend "torch": kernels in Triton for CUDA tensors, plain torch elsewhere."""
