"""Neural networks on crossbars: layers of torch whose products are read from cells (extra ``torch``).

>>> import torch, mpimpy
>>> import mpimpy.nn as ann
>>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
>>> engine = mpimpy.DPETensor(w_mapping="pair", x_mapping="signed", seed=0)
>>> print(ann.convert_(model, engine))
converted 2 layers: 0, 2
>>> model(torch.ones(3, 8)).shape
torch.Size([3, 2])
"""

try:
    import torch as _torch
except ImportError as error:
    msg = "mpimpy.nn needs torch, which is not installed: pip install mpimpy[torch]"
    raise ImportError(msg) from error
from ._training import Training
from .conv import Conv1d, Conv2d, Conv3d
from .conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .conversion import Conversion, convert_, layers, revert_
from .linear import Conv1D, Linear

del _torch

__all__ = ["Conv1D", "Conversion", "Linear", "Training", "convert_", "layers", "revert_"]
__all__ += ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
