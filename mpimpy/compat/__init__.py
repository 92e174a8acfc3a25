"""The predecessors' names: DPETensor and SlicedData, and mPimPy's engines."""
