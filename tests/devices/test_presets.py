"""Presets against the formulas of their papers, in NumPy: spreads, relaxation, drift and read noise."""

import dataclasses
import math

import numpy as np
import pytest
from libraries import read_levels
from scipy import stats

from mpimpy import Engine, Format, Gaussian, WriteVerify, presets
from mpimpy.config import from_dict, to_dict
from mpimpy.crossbar import plan as plans

N, DAY = 20000, 86400.0


def on_every_level(name, g_level=16, columns=N, **settings):
    """(conductances of the levels, uS; a matrix whose row n has the widest slice of every cell at level n)."""
    device = presets.device(name, g_level, **settings)
    bits = int(math.log2(g_level))
    weights = Format([1, bits], granularity="per-matrix")
    matrix = Engine(device, inputs=Format([1, 2]), weights=weights, seed=9).program(
        np.arange(g_level)[:, None] * np.ones((1, columns))
    )
    return (device.LGS + np.arange(g_level) * device.step_S) * 1e6, matrix


def written(matrix):
    return matrix.conductance()[1] * 1e6


def seen(matrix, read=0):
    device, grid = matrix.config.device, plans.cell_format(matrix.config)
    base = (matrix.programmed.as_programmed.reference - grid.reference) * device.grid_unit_S(grid.fraction)
    return (read_levels(matrix, read)[0] * device.step_S + device.LGS + base) * 1e6


def polynomial(g, *coefficients):
    return sum(c * g**n for n, c in enumerate(coefficients))


def clipped(mean, spread):
    """Mean and spread of a Gaussian whose negative numbers are 0."""
    a = mean / spread
    first = mean * stats.norm.cdf(a) + spread * stats.norm.pdf(a)
    second = (mean**2 + spread**2) * stats.norm.cdf(a) + mean * spread * stats.norm.pdf(a)
    return first, math.sqrt(second - first**2)


# write spreads, uS, at a conductance in uS
SPREADS = {
    "pcm-hermes": lambda g: polynomial(g / 10.35, 0.15781817, 2.32443916, -2.16310839, 0.68841818),
    "pcm-hermes-two": lambda g: polynomial(g / 20.7, 0.16603222, 4.71806468, -8.48101252, 4.68961419),
    "reram-cmo": lambda g: 0.00106879 * g + 0.00081107,
    "reram-cmo-2": lambda g: 0.01129027418 * g + 0.0112185391,
    "sonos": lambda g: 0.01 * 19.88665 * (1 - np.exp(-100 * g / 176.3115)),
}


@pytest.mark.parametrize("name", SPREADS)
def test_written_cells_have_the_published_spread(name):
    levels, matrix = on_every_level(name)
    unit = matrix.config.device.grid_unit_S(plans.cell_format(matrix.config).fraction) * 1e6
    for row, g in zip(written(matrix), levels, strict=True):
        if SPREADS[name](g) == 0:
            assert np.ptp(row) == 0
            continue
        mean, spread = clipped(g, SPREADS[name](g))
        assert abs(row.mean() - mean) < 5 * spread / math.sqrt(N) + unit / 8
        assert abs(row.std() / spread - 1) < 0.03


WAN = {
    1.0: lambda g: polynomial(g, 1.053, 0.2374, -1.167e-2, 1.536e-4),
    DAY: lambda g: polynomial(g / 40, 0.701, 22.086, -50.773, 47.095, -16.458),
    2 * DAY: lambda g: polynomial(g / 40, 0.782, 20.274, -43.507, 37.062, -11.934),
}


def test_neurram_cells_relax_to_the_published_spreads():
    levels, matrix = on_every_level("reram-wan")
    for t in (DAY, 2 * DAY):
        cells = written(matrix.at(t))
        for row, g in zip(cells, levels, strict=True):
            spread = max(WAN[t](g), WAN[1.0](g))
            if g < 3 * spread:  # cut off at 0, twice
                continue
            assert abs(row.std() / spread - 1) < 0.03
            assert 1.37 < row.std() / WAN[1.0](g) < 1.9
    # a cell's error at the later time holds its error as written, and goes on as it began
    error, day, two = (written(state)[8] - levels[8] for state in (matrix, matrix.at(DAY), matrix.at(2 * DAY)))
    assert np.corrcoef(error, day)[0, 1] == pytest.approx(WAN[1.0](levels[8]) / WAN[DAY](levels[8]), abs=0.03)
    assert np.corrcoef(day - error, two - error)[0, 1] > 0.99
    assert "0.565" in presets.listing("reram-wan")[0].band
    other = polynomial(1 / 40, 0.348, 16.030, -43.853, 45.393, -16.815)
    assert other / WAN[1.0](1.0) == pytest.approx(0.565, abs=5e-4)
    assert 0.348 / WAN[1.0](0.0) == pytest.approx(1 / 3, abs=0.01)
    # nothing relaxes where the later spreads are no larger
    assert presets.device("reram-wan", LGS=0, HGS=1e-6).relaxation is None


@pytest.mark.parametrize("name", ["reram-cmo", "reram-cmo-2"])
def test_cmo_cells_relax_by_the_logarithm_of_the_time(name):
    _, matrix = on_every_level(name)
    before = written(matrix)
    for t in (1.0, 3600.0, 10 * 365.25 * DAY):
        found = written(matrix.at(t)) - before
        spread, mean = 0.04201137 * math.log(t) + 0.41183342, -0.08900206 * math.log(t)
        for row in found:
            assert abs(row.mean() - mean) < 5 * spread / math.sqrt(N) + 1e-3
            assert abs(row.std() / spread - 1) < 0.03
        # read noise grows with the logarithm of the conductance as programmed, and in proportion to what is left
        now = written(matrix.at(t))
        noise = (seen(matrix.at(t)) - now).std(axis=1)
        sigma = 0.0277316483 * np.log10(before) / before * now * math.sqrt(math.log((t + 1e-6) / 2e-6))
        np.testing.assert_allclose(noise, np.sqrt((sigma**2).mean(axis=1)), rtol=0.03)


SONOS = {  # days: A, B and shifts at 200, 600 and 1000 nA, by the polynomials of the fit in nA
    1: (25.59102, 186.85544, (-3.82, -19.41, -29.47)),
    3: (31.04318, 198.90332, (-2.84, -24.84, -40.11)),
    5: (34.57909, 207.34309, (-2.38, -28.16, -46.73)),
}


def test_sonos_cells_shift_and_spread():
    levels, matrix = on_every_level("sonos", 8, HGS=14e-6, LGS=0)
    noise = (seen(matrix) - written(matrix)).std(axis=1)
    np.testing.assert_allclose(noise, 0.1258037 * (1 - np.exp(-levels / 2.1536557)), rtol=0.03, atol=1e-4)
    for day, (top, scale, shifts) in SONOS.items():
        cells = written(matrix.at(f"{day} d"))
        for row, g in zip(cells[1:], levels[1:], strict=True):
            spread = 0.01 * top * (1 - math.exp(-100 * g / scale))
            assert abs(row.std() / spread - 1) < 0.03
            # 200, 600 and 1000 nA are levels of 1, 3 and 5
            if round(g) in (2, 6, 10):
                assert row.mean() - g == pytest.approx(0.01 * shifts[(2, 6, 10).index(round(g))], abs=0.006)
    with pytest.raises(ValueError, match=r"t=3600 s is before t0_s=86400 s"):
        matrix.at("1 h")
    with pytest.raises(ValueError, match=r"t=518400 s is after 432000 s"):
        matrix.at("6 d")


# drift exponents and read noise of the HERMES chip: mean, spread and strength at g = G / top
HERMES = {
    "pcm-hermes": (
        10.35,
        200.0,
        lambda g: np.where(g < 0.3039, np.clip(-0.0120 * np.log(g) - 0.0023, 0.0124, 0.04), polynomial(g, 0.0104, 0.0116, -0.0165)),
        lambda g: np.where(g < 0.1591, np.clip(-0.0078 * np.log(g) + 0.0038, 0.0179, 0.04), polynomial(g, 0.0088, 0.0768, -0.1352, 0.0664)),
    ),
    "pcm-hermes-two": (
        20.7,
        300.0,
        lambda g: np.where(g < 0.3055, np.clip(-0.0117 * np.log(g) - 0.0057, 0.0091, 0.04), polynomial(g, 0.0073, 0.0093, -0.0118)),
        lambda g: np.where(g < 0.16, np.clip(-0.0117 * np.log(g) - 0.0069, 0.015, 0.04), polynomial(g, 0.0123, 0.0211, -0.0280, 0.0069)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HERMES)
def test_hermes_cells_drift_by_the_published_exponents(name):
    top, t0, spread, _ = HERMES[name]
    levels, matrix = on_every_level(name, write_var=0, var=0)
    g = np.maximum(levels / top, 1e-7)
    low = np.clip(-0.0387 * np.log(g) - 0.0182, 0.0720, 0.13)
    mean = np.where(g < 0.0945, low, polynomial(g, 0.0736, -0.0126, -0.0436))
    aged = written(matrix.at(1000 * t0))
    for level in range(1, 16):
        nu = -np.log(aged[level] / written(matrix)[level]) / math.log(1000)
        assert abs(nu.mean() - mean[level]) < 5 * spread(g)[level] / math.sqrt(N) + 2e-4
        assert abs(nu.std() / spread(g)[level] - 1) < 0.05
    with pytest.raises(ValueError, match=f"is before t0_s={t0:g} s"):
        matrix.at(t0 / 2)


# relative spread of a read at a conductance as programmed, uS, and the time of a read, s
STRENGTHS = {
    "pcm-joshi": (lambda g: np.minimum(0.0088 * np.maximum(g / 25, 1e-9) ** -0.65, 0.2), 250e-9),
    "pcm-nandakumar": (lambda g: np.minimum(0.0088 * np.maximum(g / 25, 1e-9) ** -0.65, 0.2), 250e-9),
    "pcm-hermes": (lambda g: HERMES["pcm-hermes"][3](np.maximum(g / 10.35, 1e-9)), 512e-9),
    "pcm-hermes-two": (lambda g: HERMES["pcm-hermes-two"][3](np.maximum(g / 20.7, 1e-9)), 512e-9),
    "reram-cmo-2": (lambda g: 0.0277316483 * np.log10(np.maximum(g, 1)) / np.maximum(g, 1), 1e-6),
}


@pytest.mark.parametrize("g_level", [2, 3, 4, 7, 8, 16, 32, 128, 256])
@pytest.mark.parametrize("name", STRENGTHS)
def test_classes_are_fine_enough_for_the_spread_of_reads(name, g_level):
    # Over the cells of a level, exactly: by their own conductance, and by that of their class.
    device, (strength, _) = presets.device(name, g_level), STRENGTHS[name]
    z = stats.norm.ppf((np.arange(20000) + 0.5) / 20000)
    places, q = np.array(device.var.conductance_S) * 1e6, np.array(device.var.q)
    # cells on their levels have the strength of their level
    still = presets.device(name, g_level, write_var=0).var
    np.testing.assert_allclose(still.q, strength(np.array(still.conductance_S) * 1e6), rtol=1e-9)
    np.testing.assert_allclose(still.conductance_S, places * 1e-6, rtol=1e-12)
    for level in range(0, g_level, max(1, g_level // 16)):
        g = (device.LGS + level * device.step_S) * 1e6
        cells = np.maximum(g + device.write_var.sigma_S[level] * 1e6 * z, 0)
        own, classes = cells * strength(cells), cells * q[np.searchsorted((places[1:] + places[:-1]) / 2, cells)]
        assert abs(math.sqrt(np.mean(classes**2) / np.mean(own**2)) - 1) < 0.015, level


@pytest.mark.parametrize("name", ["pcm-joshi", "pcm-hermes-two"])
def test_reads_are_as_noisy_as_the_programmed_conductance_says(name, rng):
    _, matrix = on_every_level(name, columns=3 * N)
    strength, t_read = STRENGTHS[name]
    programmed = written(matrix)
    for t in ("1 h", "1 y"):
        aged = matrix.at(t)
        now = written(aged)
        noise = seen(aged) - now
        sigma = strength(programmed) * math.sqrt(math.log((aged.age.time_s + t_read) / (2 * t_read)))
        expected = now * np.maximum(1 + sigma * rng.standard_normal(now.shape), 0) - now
        np.testing.assert_allclose(noise.std(axis=1)[1:], expected.std(axis=1)[1:], rtol=0.025)
        assert noise[0].std() == pytest.approx(expected[0].std(), rel=0.04)  # its tails are long


@pytest.mark.parametrize("name", [p.name for p in presets.listing() if p.name != "generic"])
def test_what_was_verified_is_not_verified_again(name):
    device = presets.device(name, 8)
    assert device.write_var.verified
    verify, message = (
        WriteVerify(1e-6),
        r"verify: write_var is the spread that verified writing left, .* leave verify out",
    )
    for build in (
        lambda: presets.device(name, 8, verify=verify),
        lambda: dataclasses.replace(device, verify=verify),
        lambda: Engine(device, weights=Format([1, 3]), seed=1).replace(device={"verify": verify}),
        lambda: from_dict(to_dict(device) | {"verify": to_dict(verify)}),
    ):
        with pytest.raises(ValueError, match=message):
            build()
    # a law of one pulse may be verified
    pulse = Gaussian(device.write_var.sigma_S)
    assert presets.device(name, 8, write_var=pulse, verify=verify).verify == verify
    assert from_dict(to_dict(device)) == device


def test_presets_are_told_with_their_sources():
    for preset in presets.listing():
        assert preset.band
        assert preset.sources
        text = str(presets.listing(preset.name))
        assert all(part in text for part in (preset.law, preset.band, *preset.sources))
    with pytest.raises(ValueError, match=r"HGS=1.6e-05 S: sonos holds from 0 S to 1.4e-05 S"):
        presets.device("sonos", HGS=16e-6)
    with pytest.raises(ValueError, match=r"drift and relaxation both say"):
        presets.device("reram-wan", drift=presets.device("pcm-joshi").drift)
