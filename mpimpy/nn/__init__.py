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

from ..checks import install as _install

try:
    import torch as _torch
except ImportError as _error:
    _msg = f"mpimpy.nn needs torch, which is not installed: {_install('torch')}"
    raise ImportError(_msg) from _error
from ._training import InputRanges, Training
from .attention import MultiheadAttention
from .bilinear import Bilinear
from .calibration import calibrate_
from .chips import at_, load_chips, program_, save_chips
from .conv import Conv1d, Conv2d, Conv3d
from .conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .conversion import Conversion, convert_, layers, revert_
from .finite import check
from .linear import Conv1D, Linear
from .look import Inspection, LayerReport, ModelReport, inspect, report
from .mode import crossbars
from .recurrent import GRU, LSTM, RNN
from .recurrent_cells import GRUCell, LSTMCell, RNNCell
from .sharding import shard_
from .transformer import TransformerDecoderLayer, TransformerEncoderLayer

del _torch

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bilinear",
    "Conv1D",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Conversion",
    "GRUCell",
    "InputRanges",
    "Inspection",
    "LSTMCell",
    "LayerReport",
    "Linear",
    "ModelReport",
    "MultiheadAttention",
    "RNNCell",
    "Training",
    "TransformerDecoderLayer",
    "TransformerEncoderLayer",
    "at_",
    "calibrate_",
    "check",
    "convert_",
    "crossbars",
    "inspect",
    "layers",
    "load_chips",
    "program_",
    "report",
    "revert_",
    "save_chips",
    "shard_",
]
