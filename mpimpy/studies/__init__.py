"""Studies: common questions about a machine, each one call that returns a table and draws itself."""

from ._adc_bits import adc_bits
from ._chips import chip_yield
from ._drift import drift
from ._snr_energy import snr_energy
from ._study import Study
from ._wires import wires

__all__ = ["Study", "adc_bits", "chip_yield", "drift", "snr_energy", "wires"]
