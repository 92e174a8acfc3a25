"""DPETensor: the engine under the predecessors' names."""

from collections.abc import Iterable
from typing import Any, Unpack

from ..checks import as_int_pair
from ..config import Device, Flicker, Gaussian, Samples
from ..config import _flat as flat
from ..engine import Engine

__all__ = ["DPETensor"]


class DPETensor(Engine):
    """The engine under the predecessors' names: one flat list of settings.

    Parameters
    ----------
    HGS, LGS : float
        Highest and lowest conductance, S.
    g_level : int
        Conductance levels.
    var : float, sequence of float, Gaussian, Samples or Flicker
        Read variation; a number is relative (lognormal sigma). See `Device`, also for write_var.
    vnoise : float
        DAC voltage noise, relative. (The predecessors took 0.05 and never applied it.)
    wire_resistance : float or (float, float)
        Of one segment of wire, Ohm; two numbers: of a word line's and of a bit line's.
    rdac : int
        DAC levels.
    radc : int, sequence of int, or None
        ADC codes; None is an ideal converter.
    vread : float
        Read voltage, V.
    stuck_fault_ratio : float
        Share of stuck cells, 0 to 1.
    stuck_fault_value : int
        0: stuck at LGS; 1: stuck at HGS.
    array_size : (int, int)
        Rows and columns of an array.
    input_size : (int, int), optional
        Block of inputs in row mode: rows, and array rows. See `SlicedData`.
    device : optional
        Where operands must be, such as "cuda"; None: wherever they are.
    seed, chip, backend
        As for `Engine`.
    **more
        Any other name of the settings table: write_var, stuck_HGS, stuck_LGS, snap, saturate,
        adc_range, noise_lsb, offset_lsb, gain_error, exact_reads, x_mapping, w_mapping, x_slices,
        w_slices, bw_e, dbfp_en, format, x_quant_gran, w_quant_gran.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range or unknown.

    Examples
    --------
    >>> DPETensor(var=0.05, g_level=16, rdac=16, radc=2**8, seed=1).config.adc.radc
    256
    """

    def __init__(
        self,
        HGS: float = 1e-5,
        LGS: float = 1e-7,
        g_level: int = 16,
        var: float | Iterable[float] | Gaussian | Samples | Flicker = 0.05,
        vnoise: float = 0.0,
        wire_resistance: float | tuple[float, float] | list[float] = 0.0,
        rdac: int = 16,
        radc: int | Iterable[int] | None = 256,
        vread: float = 0.1,
        stuck_fault_ratio: float = 0.0,
        stuck_fault_value: int = 0,
        array_size: Iterable[int] = (64, 64),
        input_size: Iterable[int] | None = None,
        device: Any = None,
        seed: int | None = None,
        chip: int = 0,
        backend: str | None = None,
        **more: Unpack[flat.FurtherSettings],
    ) -> None:
        if isinstance(device, Device):
            msg = (
                "device=Device(...) is the memristors, and device= here is where operands must be, such as 'cuda': "
                "build Engine(Device(...)), or give the device's settings by name, such as var=0.02"
            )
            raise TypeError(msg)
        config = flat.build(
            HGS=HGS,
            LGS=LGS,
            g_level=g_level,
            var=var,
            vnoise=vnoise,
            wire_resistance=wire_resistance,
            rdac=rdac,
            radc=radc,
            vread=vread,
            stuck_fault_ratio=stuck_fault_ratio,
            stuck_fault_value=stuck_fault_value,
            array_size=array_size,
            **more,
        )
        # formats that were not asked for may yet come from SlicedData
        asked = [
            part for part, name in (("inputs", "x_slices"), ("weights", "w_slices")) if {name, "format"} & set(more)
        ]
        self._setup(config, seed=seed, chip=chip, backend=backend, parts=asked)
        self.placement = device
        if input_size is not None:
            self.input_size = as_int_pair("input_size", input_size)
