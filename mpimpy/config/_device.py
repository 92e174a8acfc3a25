"""The memristors' settings."""

from dataclasses import dataclass

from ..checks import fail, real, set_fields, spread, whole

__all__ = ["Device"]

MAX_LEVELS = 1 << 16


@dataclass(frozen=True)
class Device:
    """The memristors: conductance range, levels, variation and faults.

    Parameters
    ----------
    HGS, LGS : float
        Highest and lowest conductance that a cell is programmed to, S. ``0 <= LGS < HGS``.
    g_level : int
        Number of evenly spaced conductance levels, ends included.
    var : float
        Read variation: each read multiplies every conductance by ``exp(N(0, var))``.
        0 switches it off.
    write_var : float
        Write variation, of the same form, drawn once per chip when a cell is programmed.
    stuck_HGS, stuck_LGS : float
        Share of the cells (0 to 1) that sit at HGS, or at LGS, whatever is written.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range or not a number.

    Examples
    --------
    >>> Device(g_level=32, var=0.02).step_S < 1e-6
    True
    """

    HGS: float = 1e-5
    LGS: float = 1e-7
    g_level: int = 16
    var: float = 0.05
    write_var: float = 0.0
    stuck_HGS: float = 0.0
    stuck_LGS: float = 0.0

    def __post_init__(self):
        set_fields(
            self,
            HGS=real("HGS", self.HGS, 0, above=True, unit=" S"),
            LGS=real("LGS", self.LGS, 0, unit=" S"),
            g_level=whole("g_level", self.g_level, 2, MAX_LEVELS),
            var=spread("var", self.var),
            write_var=spread("write_var", self.write_var),
            stuck_HGS=real("stuck_HGS", self.stuck_HGS, 0, 1),
            stuck_LGS=real("stuck_LGS", self.stuck_LGS, 0, 1),
        )
        if self.LGS >= self.HGS:
            fail(ValueError, f"LGS={self.LGS:g} S must be below HGS={self.HGS:g} S")
        if self.stuck_HGS + self.stuck_LGS > 1:
            fail(
                ValueError,
                f"stuck_HGS={self.stuck_HGS:g} and stuck_LGS={self.stuck_LGS:g} add up to more than 1: "
                "they are shares of all cells",
            )

    @property
    def step_S(self):
        """Conductance between two neighbouring levels, S."""
        return (self.HGS - self.LGS) / (self.g_level - 1)

    @property
    def rho(self):
        """LGS in levels: the conductance of the reference column's cells."""
        return self.LGS / self.step_S
