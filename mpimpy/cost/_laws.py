"""Laws of circuits beside the cells: converters by bits, rate and node; digital logic from node to node."""

import bisect
import math
from dataclasses import dataclass

from ..checks import as_float, fail
from ._figure import Figure

__all__ = ["AdcLaw", "check_node", "digital_factor", "survey_law"]

LEAST_BITS, MOST_BITS = 3.0, 13.0  # effective bits of the converters of the fit
LEAST_NM, MOST_NM = 7.0, 180.0  # of the survey
MOST_DIGITAL_NM = 130.0
NODE_NM = 28.0
FLAT_HZ = 1e8  # below, energy does not depend on the rate
SURVEY = (
    "fit to 214 Nyquist converters since 2012, at most 180 nm, 3 to 13 effective bits, of B. Murmann, ADC Performance "
    "Survey 1997-2025; band: half of them"
)

# Energy of logic, relative, over the supply in V: a2 V^2 + a1 V + a0, and the nominal supply, by node in nm. Below 65
# nm these are the rows of high performance.
_ENERGY = {
    130.0: (7.171, -6.709, 2.904, 1.2),
    90.0: (4.762, -4.781, 2.092, 1.2),
    65.0: (3.755, -4.398, 1.975, 1.1),
    45.0: (1.018, -0.3107, 0.1539, 1.0),
    32.0: (0.8367, -0.4341, 0.1701, 0.9),
    20.0: (0.373, -0.1582, 0.04104, 0.9),
    16.0: (0.2958, -0.1241, 0.03024, 0.85),
    14.0: (0.2363, -0.09675, 0.02239, 0.8),
    10.0: (0.2068, -0.09311, 0.02375, 0.75),
    7.0: (0.1776, -0.09097, 0.02447, 0.7),
}


def check_node(node_nm: float, most_nm: float = MOST_DIGITAL_NM) -> float:
    """Return a node, nm, if the laws have data for it.

    Parameters
    ----------
    node_nm : float
    most_nm : float
        Largest node; by default that of digital logic.

    Raises
    ------
    TypeError, ValueError
        If it is no number, or outside the data.
    """
    node_nm = as_float("node_nm", node_nm, -math.inf)
    if not LEAST_NM <= node_nm <= most_nm:
        msg = (
            f"node_nm={node_nm:g} is outside the data of the laws, {LEAST_NM:g} to {most_nm:g} nm: take a node of that "
            "range, or give measured anchors (cost.Anchor) to a technology of the nearest one"
        )
        fail(ValueError, msg)
    return node_nm


def _energy(node_nm: float, supply_V: float | None = None) -> float:
    # of logic, relative; between two nodes, at their nominal supplies, a power law of the node
    if node_nm in _ENERGY:
        a2, a1, a0, nominal = _ENERGY[node_nm]
        volts = nominal if supply_V is None else supply_V
        return (a2 * volts + a1) * volts + a0
    nodes = sorted(_ENERGY)
    at = bisect.bisect_left(nodes, node_nm)
    low, high = nodes[at - 1], nodes[at]
    share = math.log(node_nm / low) / math.log(high / low)
    return math.exp((1 - share) * math.log(_energy(low)) + share * math.log(_energy(high)))


def digital_factor(from_nm: float, to_nm: float, from_V: float | None = None) -> float:
    """Return the energy of digital logic at one node over that at another, each at its nominal supply.

    By the polynomials of A. Stillmaker and B. Baas, Integration 58 (2017) 74, doi:10.1016/j.vlsi.2017.02.002; between
    their nodes by a power law.

    Parameters
    ----------
    from_nm, to_nm : float
        Nodes, nm.
    from_V : float, optional
        Supply at the first one, V, if this is a node of the polynomials; by default the nominal one.

    Raises
    ------
    ValueError
        If a node is outside 7 to 130 nm.

    Examples
    --------
    >>> round(digital_factor(45, 130), 2)
    6.01
    """
    return _energy(check_node(to_nm)) / _energy(check_node(from_nm), from_V)


@dataclass(frozen=True)
class AdcLaw:
    """Energy of a conversion: ``energy * 2**bits * (node / 28 nm) * sqrt(max(rate / 100 MHz, 1))``.

    Parameters
    ----------
    energy : Figure
        For each code, J.
    node_nm : float

    Raises
    ------
    TypeError, ValueError
        If the energy is no figure in J above 0, or the node outside the data, 7 to 180 nm.

    Examples
    --------
    >>> print(survey_law(28).at(8, 1e8))
    2.07 pJ (0.912 to 6.01)
    """

    energy: Figure
    node_nm: float

    def __post_init__(self) -> None:
        if not isinstance(self.energy, Figure) or self.energy.unit != "J":
            fail(TypeError, f"energy={self.energy!r} of a law of converters must be a cost.Figure in J")
        as_float("energy", self.energy.low, 0, above=True, unit=" J")
        check_node(self.node_nm, MOST_NM)

    def at(self, bits: float, rate_Hz: float) -> Figure:
        """Return the energy of a conversion, J.

        Parameters
        ----------
        bits : float
            log2 of the codes.
        rate_Hz : float
            Conversions a second.

        Raises
        ------
        TypeError, ValueError
            If the bits are outside those of the survey, 3 to 13, or the rate is not above 0.
        """
        bits, rate_Hz = as_float("bits", bits, 0), as_float("rate_Hz", rate_Hz, 0, above=True, unit=" Hz")
        if not LEAST_BITS <= bits <= MOST_BITS:
            msg = (
                f"an ADC of {bits:.3g} bits (log2 of its codes) is outside the data of the law, {LEAST_BITS:g} to "
                f"{MOST_BITS:g} bits: use other codes (radc), or give a measured converter, adc=cost.Anchor(...)"
            )
            fail(ValueError, msg)
        factor = 2.0**bits * (self.node_nm / NODE_NM) * math.sqrt(max(rate_Hz / FLAT_HZ, 1.0))
        return self.energy.times(factor)


def survey_law(node_nm: float) -> AdcLaw:
    """Return the law of converters by B. Murmann's survey, with the band in which half of them lie.

    It is 8.1 fJ a code at 28 nm. Between the quartiles lie factors of 0.44 to 2.9; the first and the last tenth lie
    beyond 0.25 and 7.2.
    """
    return AdcLaw(Figure(8.1e-15, "J", 0.44 * 8.1e-15, 2.9 * 8.1e-15, SURVEY), node_nm)
