"""Machines of the literature, by name: what is published of them, and what is not.

>>> [machine.name for machine in listing()]
['isaac', 'prime', 'neurram']

``mpimpy.Engine.named("isaac")`` is the engine of one. The settings lie beside this file, as TOML.
"""

import os
from dataclasses import dataclass
from typing import Any

from .. import _spec
from ..checks import check_names

__all__ = ["MACHINES", "Listing", "Machine", "listing", "settings"]


@dataclass(frozen=True)
class Machine:
    """A machine from the literature; prints as a paragraph.

    Attributes
    ----------
    name : str
    what : str
        The machine in a line.
    published : str
        Settings that the source states.
    chosen : str
        What the source leaves out or does otherwise, and what stands here instead.
    source : str
    """

    name: str
    what: str
    published: str
    chosen: str
    source: str

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.what}", f"published: {self.published}", f"chosen here: {self.chosen}"]
        return "\n    ".join([*lines, f"source: {self.source}"])


class Listing(tuple[Machine, ...]):
    """Machines, one after the other; prints as their paragraphs."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self))


MACHINES = {
    machine.name: machine
    for machine in (
        Machine(
            name="isaac",
            what="accelerator of convolutional networks, a design",
            published="arrays of 128 x 128 cells of 2 bits; 16-bit weights in 8 cells, with an offset that a unit "
            "column takes away again; 16-bit inputs, 1 bit a cycle; 8-bit ADCs",
            chosen="columns whose sum would need 9 bits are stored inverted there, so that 8-bit ADCs lose "
            "nothing: here ADCs have a code for every sum, which gives the same products. Products are "
            "not cut to 16 bits. Of the fixed point, a scale for each matrix. Conductances and the read "
            "voltage are left out: the defaults of mpimpy. Noise is left out: none",
            source='A. Shafiee et al., "ISAAC: a convolutional neural network accelerator with in-situ analog '
            'arithmetic in crossbars", ISCA 2016, 14, doi:10.1109/ISCA.2016.12',
        ),
        Machine(
            name="prime",
            what="main memory of resistive cells that computes, a design",
            published="arrays of 256 x 256 cells of 4 bits; 8-bit weights in two cells, positive and negative ones "
            "in arrays of their own; 6-bit inputs in two steps of 3 bits; 6-bit sense amplifiers",
            chosen="the precision of the sense amplifiers can be set there, and partial products are "
            "cut to the 6 highest bits of the result: here each is converted with 6 bits and a sign over "
            "full scale, which is coarse for 256 rows (calibrate finds ranges that fit). Bits of inputs "
            "and weights are those of magnitudes. Of the dynamic fixed point, a scale for each matrix. "
            "Conductances, the read voltage: the defaults of mpimpy. Noise: none",
            source='P. Chi et al., "PRIME: a novel processing-in-memory architecture for neural network '
            'computation in ReRAM-based main memory", ISCA 2016, 27, doi:10.1109/ISCA.2016.13',
        ),
        Machine(
            name="neurram",
            what="chip of 48 cores with resistive memory, 130 nm, measured",
            published="cores of 256 x 256 cells; a weight is the difference of two analog cells in two rows of a "
            "column; 4-bit inputs (6 are possible), a bit a step, as voltages of both signs, whose "
            "charges are summed before one conversion of up to 8 bits; cells of up to 40 uS, their spread"
            " and relaxation",
            chosen="256 rows of cells are 128 pairs. Levels of cells are analog there: 4 bits of magnitude here."
            " The read voltage, 0.5 V, is that of AccelForge's calibration to this chip. Charges are sensed as "
            "voltages there, which divides each column by its total conductance: currents here. Ranges of the "
            "ADCs were calibrated there: full scale here, calibrate finds better ones. The device is the preset "
            "reram-wan, which holds up to 39 uS; read noise and wires have no published law: none",
            source='W. Wan et al., "A compute-in-memory chip based on resistive random-access memory", Nature '
            "608, 504 (2022), doi:10.1038/s41586-022-04992-8",
        ),
    )
}


def listing(name: str | None = None) -> Listing:
    """Return the machines, to look at or to print: what is published, what is chosen here, the source.

    Parameters
    ----------
    name : str, optional
        Only this one.

    Raises
    ------
    TypeError
        If there is none of that name.

    Examples
    --------
    >>> print(str(listing("isaac")).partition(";")[0])
    isaac: accelerator of convolutional networks, a design
        published: arrays of 128 x 128 cells of 2 bits
    """
    if name is None:
        return Listing(MACHINES.values())
    check_names([name], MACHINES, "machine")
    return Listing([MACHINES[name]])


def settings(name: str) -> dict[str, Any]:
    """Return the settings of a machine as plain values, for `mpimpy.Engine.from_dict`.

    Raises
    ------
    TypeError
        If there is none of that name.

    Examples
    --------
    >>> settings("prime")["tile"]
    {'rows': 256, 'cols': 256}
    """
    (machine,) = listing(name)
    return _spec.read(os.path.join(os.path.dirname(__file__), f"{machine.name}.toml")).values
