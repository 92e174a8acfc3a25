"""The devices of the literature that have a name: fits, sources, range of validity and error band."""

from dataclasses import dataclass

from . import _fits

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """A device from the literature; prints as a paragraph.

    Attributes
    ----------
    name : str
    what : str
        Material and source of the write variation, in a line.
    LGS, HGS : float
        Range of conductances of a device by default, S.
    valid_S : (float, float) or None
        Range in which the law holds, S; None: anywhere.
    law : str
        The law, conductance G in uS.
    sources : tuple of str
    band : str
        How far the law may be trusted.
    spread_uS : function or None
        Write variation: standard deviation, uS, at a conductance, uS.
    extra : function or None
        Further settings of a device with levels at given conductances, S, and write variation as given.
    """

    name: str
    what: str
    LGS: float
    HGS: float
    valid_S: tuple[float, float] | None
    law: str
    sources: tuple[str, ...]
    band: str
    spread_uS: _fits.Fit | None = None
    extra: _fits.Extra | None = None

    def sigma_S(self, conductance_S: float) -> float:
        """Return the standard deviation of write variation at a conductance, S."""
        return 0.0 if self.spread_uS is None else self.spread_uS(conductance_S * 1e6) * 1e-6

    def __str__(self) -> str:
        valid = "any" if self.valid_S is None else f"{self.valid_S[0] * 1e6:g} to {self.valid_S[1] * 1e6:g} uS"
        lines = [f"{self.name}: {self.what}", f"law: {self.law}", f"valid: {valid}", f"error band: {self.band}"]
        return "\n    ".join([*lines, *(f"source: {source}" for source in self.sources)])


_WAN = _fits.polynomial(1.053, 0.2374, -1.167e-2, 1.536e-4)
_ICECS = 'S. R. Nandakumar et al., "Phase-change memory models for deep learning training and inference", ICECS 2019 '
_LAWS = (
    "; with g = G/25: drift from 20 s, nu of mean clip(-0.0155 ln g + 0.0244, 0.049, 0.1) and "
    "spread clip(-0.0125 ln g - 0.0059, 0.008, 0.045); read noise min(0.0088 / g^0.65, 0.2) G "
    "sqrt(ln((t + 250 ns) / 500 ns)), g as programmed"
)
_HERMES_NU = (
    "nu of mean clip(-0.0387 ln g - 0.0182, 0.072, 0.13) below g = 0.0945, else -0.0436 g^2 - 0.0126 g + 0.0736"
)
_HERMES = (
    'M. Le Gallo et al., "A 64-core mixed-signal in-memory compute chip based on phase-change memory for deep neural '
    'network inference", Nat. Electron. 6, 680 (2023), doi:10.1038/s41928-023-01010-1',
    'R. Khaddam-Aljameh et al., "HERMES-Core: a 1.59-TOPS/mm2 PCM on 14-nm CMOS in-memory compute core using '
    '300-ps/LSB linearized CCO-based ADCs", IEEE J. Solid-State Circuits 57, 1027 (2022)',
)
_CMO = (
    'D. F. Falcone et al., "All-in-one analog AI hardware: on-chip training and inference with '
    'conductive-metal-oxide/HfOx ReRAM devices", arXiv:2502.04524 (2025)',
    'D. G. F. Lombardo et al., "Read noise analysis in analog conductive-metal-oxide/HfOx ReRAM devices", '
    "Device Research Conference 2024, doi:10.1109/DRC61706.2024.10643760",
)
_CMO_LAWS = (
    "; relaxation from 1 s on by -0.089 ln t uS, with a spread of 0.042 ln t + 0.412 uS; read noise "
    "0.0277 log10(G) sqrt(ln((t + 1 us) / 2 us)) uS, G as programmed, in proportion to what G is since"
)
_CMO_BAND = (
    "not published; relaxation was measured near 50 uS and taken for all levels, and goes by ln t to 10 years; it is "
    "40 times what verified writing leaves at 9 uS, so read W.at(1) or later"
)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            name="generic",
            what="no device in particular: the defaults of Device, 5 % read variation",
            LGS=1e-7,
            HGS=1e-5,
            valid_S=None,
            law="each read multiplies G by exp(N(0, 0.05)); no write variation",
            sources=("none: numbers that the predecessors of mpimpy began with",),
            band="none is claimed",
        ),
        Preset(
            name="pcm-joshi",
            what="phase-change memory, write variation as measured by Joshi et al.",
            LGS=0.0,
            HGS=25e-6,
            valid_S=(0.0, 25e-6),
            law="sigma = -0.00178767 G^2 + 0.07585724 G + 0.28638599 uS" + _LAWS,
            sources=(
                'V. Joshi et al., "Accurate deep neural network inference using computational phase-change memory", '
                "Nat. Commun. 11, 2473 (2020)",
                _ICECS + "(drift, read noise)",
            ),
            band="the other fit, pcm-nandakumar, is within 2 % from 5 uS up, and 8 % lower near 0",
            spread_uS=_fits.polynomial(0.28638599, 0.07585724, -0.00178767),
            extra=_fits.pcm,
        ),
        Preset(
            name="pcm-nandakumar",
            what="phase-change memory, write variation of Nandakumar et al.",
            LGS=0.0,
            HGS=25e-6,
            valid_S=(0.0, 25e-6),
            law="sigma = 0.26348 + 1.9650 g - 1.1731 g^2 uS" + _LAWS,
            sources=(_ICECS.strip(),),
            band="the other fit, pcm-joshi, is within 2 % from 5 uS up, and 9 % higher near 0",
            spread_uS=_fits.polynomial(0.26348, 1.9650 / 25, -1.1731 / 25**2),
            extra=_fits.pcm,
        ),
        Preset(
            name="reram-wan",
            what="resistive memory of the NeuRRAM chip, 1 s after programming; relaxation up to 2 days",
            LGS=1e-6,
            HGS=39e-6,
            valid_S=(0.0, 39e-6),
            law="sigma = 1.536e-4 G^3 - 1.167e-2 G^2 + 0.2374 G + 1.053 uS; with g = G/40, where that is more: after a "
            "day 0.701 + 22.086 g - 50.773 g^2 + 47.095 g^3 - 16.458 g^4, after two "
            "0.782 + 20.274 g - 43.507 g^2 + 37.062 g^3 - 11.934 g^4 uS",
            sources=(
                'W. Wan et al., "A compute-in-memory chip based on resistive random-access memory", '
                "Nature 608, 504 (2022)",
            ),
            band="two published fits of these data differ by 6 to 30 % from 5 uS up; below that, where LGS lies, the "
            "other is 0.565 of this one at 1 uS and a third of it at 0",
            spread_uS=_WAN,
            extra=_fits.wan(_WAN),
        ),
        Preset(
            name="reram-milo",
            what="resistive memory, HfO2, multilevel",
            LGS=50e-6,
            HGS=225e-6,
            valid_S=(50e-6, 225e-6),
            law="sigma = -0.009107 G + 4.782321 uS",
            sources=(
                'V. Milo et al., "Optimized programming algorithms for multilevel RRAM in hardware neural networks", '
                "IRPS 2021",
            ),
            band="not published; one straight line through all levels",
            spread_uS=_fits.polynomial(4.782321, -0.009107),
        ),
        Preset(
            name="pcm-hermes",
            what="phase-change memory of the HERMES chip, cells of one device",
            LGS=0.0,
            HGS=10.35e-6,
            valid_S=(0.0, 10.35e-6),
            law="with g = G/10.35: sigma = 0.15781817 + 2.32443916 g - 2.16310839 g^2 + 0.68841818 g^3 uS; drift from "
            f"200 s, {_HERMES_NU}, and spread clip(-0.012 ln g - 0.0023, 0.0124, 0.04) below 0.3039, else "
            "-0.0165 g^2 + 0.0116 g + 0.0104; read noise q G sqrt(ln((t + 512 ns) / 1024 ns)), g as programmed, q of "
            "clip(-0.0078 ln g + 0.0038, 0.0179, 0.04) below 0.1591, else 0.0664 g^3 - 0.1352 g^2 + 0.0768 g + 0.0088",
            sources=_HERMES,
            band="not published; one fit of the cells of one chip",
            spread_uS=_fits.polynomial(0.15781817, 2.32443916, -2.16310839, 0.68841818, unit=10.35),
            extra=_fits.hermes(1),
        ),
        Preset(
            name="pcm-hermes-two",
            what="phase-change memory of the HERMES chip, two devices to a cell, filled one after the other",
            LGS=0.0,
            HGS=20.7e-6,
            valid_S=(0.0, 20.7e-6),
            law="with g = G/20.7: sigma = 0.16603222 + 4.71806468 g - 8.48101252 g^2 + 4.68961419 g^3 uS; drift from "
            f"300 s, {_HERMES_NU}, and spread clip(-0.0117 ln g - 0.0057, 0.0091, 0.04) below 0.3055, else "
            "-0.0118 g^2 + 0.0093 g + 0.0073; read noise q G sqrt(ln((t + 512 ns) / 1024 ns)), g as programmed, q of "
            "clip(-0.0117 ln g - 0.0069, 0.015, 0.04) below 0.16, else 0.0069 g^3 - 0.028 g^2 + 0.0211 g + 0.0123",
            sources=(
                *_HERMES,
                'A. Vasilopoulos et al., "Exploiting the state dependency of conductance variations in memristive '
                'devices for accurate in-memory computing", IEEE Trans. Electron Devices (2023), '
                "doi:10.1109/TED.2023.3321014",
            ),
            band="not published; drift is that of two devices in one state, more than the chip's own",
            spread_uS=_fits.polynomial(0.16603222, 4.71806468, -8.48101252, 4.68961419, unit=20.7),
            extra=_fits.hermes(2),
        ),
        Preset(
            name="reram-cmo",
            what="resistive memory, conductive metal oxide and HfOx, verified to 0.2 % of the target",
            LGS=9e-6,
            HGS=88e-6,
            valid_S=(8e-6, 90e-6),
            law="sigma = 0.00106879 G + 0.00081107 uS" + _CMO_LAWS,
            sources=_CMO,
            band=_CMO_BAND,
            spread_uS=_fits.polynomial(0.00081107, 0.00106879),
            extra=_fits.cmo,
        ),
        Preset(
            name="reram-cmo-2",
            what="resistive memory, conductive metal oxide and HfOx, verified to 2 % of the target",
            LGS=9e-6,
            HGS=88e-6,
            valid_S=(8e-6, 90e-6),
            law="sigma = 0.01129027 G + 0.01121854 uS" + _CMO_LAWS,
            sources=_CMO,
            band=_CMO_BAND.replace("40 times", "4 times"),
            spread_uS=_fits.polynomial(0.0112185391, 0.01129027418),
            extra=_fits.cmo,
        ),
        Preset(
            name="sonos",
            what="charge-trapping memory, 40 nm SONOS, subthreshold; shift and spread from 1 to 5 days",
            LGS=0.0,
            HGS=14e-6,
            valid_S=(0.0, 14e-6),
            law="of the current at 0.1 V in nA, I = 100 G: sigma = A (1 - exp(-I/B)), A and B 19.89 and 176.3 as "
            "programmed, 25.59 and 186.9 after a day, 34.58 and 207.3 after five; mean shift by a polynomial of the "
            "tenth degree for each day (-13, -29 and -39 nA at 400, 1000 and 1400 nA after one); read noise "
            "12.58 (1 - exp(-I/215.4))",
            sources=(
                'V. Agrawal et al., "Subthreshold operation of SONOS analog memory to enable accurate low-power neural '
                'network inference", IEDM 2022, 21.7',
            ),
            band="not published; nothing is known between programming and the first day, nor after the fifth; the "
            "polynomials of the shift turn down steeply above 14 uS, by 100 to 250 nA at 16 uS",
            spread_uS=_fits.saturating(0.1988665, 1.763115),
            extra=_fits.sonos,
        ),
    )
}
