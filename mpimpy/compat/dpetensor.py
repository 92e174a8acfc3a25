"""DPETensor: the engine under the predecessors' name."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, Unpack

from ..checks import as_int_pair
from ..config import Device, Flicker, Gaussian, Samples
from ..config import _flat as flat
from ..config._hints import hinted
from ..engine import Engine

__all__ = ["DPETensor"]

Given = ParamSpec("Given")


def _with_file(init: Callable[Given, None]) -> Callable[Given, None]:
    # beside a file, only what was given counts: the file decides what has a default
    names = ("HGS", "LGS", "g_level", "var")

    @functools.wraps(init)
    def with_file(*given: Given.args, **named: Given.kwargs) -> None:
        if named.get("device_file") is not None:
            bound = inspect.signature(init).bind(*given, **named).arguments
            named.update({name: None for name in names if name not in bound})
        init(*given, **named)

    return with_file


@hinted
class DPETensor(Engine):
    """Engine under the predecessors' name, with one flat list of settings.

    Parameters
    ----------
    HGS, LGS : float
        Highest and lowest conductance, S.
    g_level : int
        Conductance levels.
    var : float, sequence of float, Gaussian, Samples or Flicker
        Read variation; a number is relative (lognormal sigma), a sequence has one for each level. See `Device`.
    vnoise : float
        Noise of the DACs' voltages, relative. (The predecessors took 0.05 and never applied it.)
    wire_resistance : float or (float, float)
        Resistance of a segment of wire, Ohm; two numbers: of a word line's segment, of a bit line's.
    rdac : int
        Levels of a DAC.
    radc : int, sequence of int, or None
        Codes of an ADC, or one number for each weight slice; None: an ideal converter.
    vread : float
        Read voltage, V.
    stuck_fault_ratio : float
        Share of stuck cells, 0 to 1.
    stuck_fault_value : int
        0: stuck at LGS; 1: stuck at HGS.
    array_size : (int, int)
        Rows and columns of an array, cells.
    input_size : (int, int), optional
        Block of inputs in row mode: rows, and rows of an array. See `SlicedData`.
    device : optional
        Device that operands must be on, such as "cuda"; None: any.
    seed, chip, backend, gradient
        As for `Engine`.
    **more
        Further settings, by name only:

        - device_file: CSV file of a measured device, as for `Device.from_csv`: HGS, LGS, g_level and, unless
          they are given, write_var and var (0) are the file's;
        - write_var: write variation, of the same form as `var`, frozen on a chip;
        - redraw: a draw of read variation lasts for a whole "product", for one input "slice", or for that of one "row";
        - stuck_HGS, stuck_LGS: shares of cells stuck at HGS, at LGS, 0 to 1;
        - snap: round each partial product to an integer after the ADC;
        - saturate: clip at the ends of the ADC's range;
        - adc_range: range of the ADC, "full", "lossless", or currents in A;
        - adc_per: "slice", a conversion for each input slice, or "product", one for all of them;
        - noise_lsb: noise of each conversion, LSB rms;
        - offset_lsb, gain_error: spread of the ADCs' offsets, LSB, and of their gains, relative;
        - exact_reads: with wires, solve the circuit again for each read;
        - x_slices, w_slices: bits of each slice of the inputs, of the weights, most significant first;
        - bw_e: width of a shared exponent, bits; dbfp_en: double exponent;
        - format: "int4", "int8", "bf16", "fp16" or "fp32", instead of slices and exponent;
        - x_mapping, w_mapping: mapping of the sign of inputs, of weights;
        - x_quant_gran, w_quant_gran: block of inputs, of weights, that shares a scale.

    Attributes
    ----------
    config : Config
        The same settings by part.
    input_size : (int, int) or None
    seed, chip, backend, reads
        As for `Engine`.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of range or unknown.

    Examples
    --------
    >>> DPETensor(var=0.05, g_level=16, rdac=16, radc=2**8, seed=1).config.adc.radc
    256
    """

    input_size: tuple[int, int] | None
    _flat = True

    @_with_file
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
        gradient: str = "straight",
        **more: Unpack[flat.FurtherSettings],
    ) -> None:
        if isinstance(device, Device):
            msg = (
                "device=Device(...) is the memristors, and device= here is where operands must be, such as 'cuda': "
                "build Engine(Device(...)), or give the device's settings by name, such as var=0.02, or "
                "device_file='cells.csv'"
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
        # SlicedData may bring the formats that no setting names
        asked = [
            part for part, name in (("inputs", "x_slices"), ("weights", "w_slices")) if {name, "format"} & set(more)
        ]
        self._setup(config, seed=seed, chip=chip, backend=backend, gradient=gradient, parts=asked)
        self._operand_device = device
        if input_size is not None:
            self.input_size = as_int_pair("input_size", input_size)
