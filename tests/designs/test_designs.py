"""mpimpy.design and its costs: against the simulation of every design."""

import textwrap

import numpy as np
import pytest

import mpimpy
from mpimpy import DPETensor, cli
from mpimpy.analysis.counts import counts
from mpimpy.designs import COSTS, looks_at
from mpimpy.designs import grid as grids
from mpimpy.designs.costs import cost_of
from mpimpy.designs.grid import make_grid
from mpimpy.designs.simulation import make_bench
from mpimpy.designs.space import as_space, groups

SPACE = {
    "radc": [64, 128, 256, 512, 1024, 2048],
    "var": [0.02, 0.05],
    "w_mapping": ["twos", "pair"],
    "w_slices": [[1, 1, 2, 4], [1, 3, 4]],
}


@pytest.fixture(scope="module")
def operands():
    rng = np.random.default_rng(0)
    return rng.standard_normal((16, 128)), rng.standard_normal((128, 16))


def exhaustive(operands, space, cost, chips=1, known=None):
    """The grid, and the SNR of each of its designs, of which `known` are those simulated before, by their settings."""
    known = {} if known is None else known
    bench = make_bench(*operands, 0, chips)
    grid = make_grid(as_space(space), bench, COSTS[cost])
    found = []
    for at in range(len(grid.costs)):
        settings = grid.settings(at)
        if str(settings) not in known:
            known[str(settings)] = bench.snr_dB(bench.engine(settings))
        found.append(known[str(settings)])
    return grid, np.array(found)


def test_the_answer_is_that_of_every_simulation(operands):
    grid, snr = exhaustive(operands, SPACE, "conversions*codes")
    assert len(snr) == 48
    for target in (16, 20, 24):
        found = mpimpy.design(*operands, SPACE, target_dB=target, cost="conversions*codes")
        assert found.cost == grid.costs[snr >= target].min()
        assert found.snr_dB >= target
        assert found.budgets == 4
        assert found.checks[-1].settings == found.settings
        assert found.checks[-1].snr_dB == found.snr_dB
        assert len(found.checks) <= 10


def test_designs_a_little_below_their_target_are_simulated(operands):
    space = {"radc": [*range(700, 2100, 100)], "var": [0.05], "w_mapping": ["twos", "pair"]}
    grid, snr = exhaustive(operands, space, "conversions*codes")
    better = snr - grid.snr_dB
    tried = 0
    for at in np.flatnonzero(grid.holds & (better > 0.01) & (better < 0.5)):
        target = float(snr[at])
        best = grid.costs[snr >= target].min()
        if best == grid.costs[at]:
            tried += 1
            assert mpimpy.design(*operands, space, target_dB=target, cost="conversions*codes").cost == best
    assert tried


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "var"), [(0, 0.02), (1, 0.05)])
def test_a_larger_space_against_every_simulation(seed, var):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((32, 256)), rng.standard_normal((256, 32))
    slices = [[1, 1, 2, 4], [1] * 8, [1, 1, 2, 2], [1, 3, 4]]
    space = {
        "array_size": [(64, 64), (128, 64)],
        "x_slices": slices,
        "w_slices": slices,
        "w_mapping": ["twos", "pair"],
        "radc": [64, 128, 256, 512, 1024],
        "var": [var],
    }
    known = {}
    for cost in ("conversions*codes", "conversions*bits"):
        grid, snr = exhaustive((x, w), space, cost, known=known)
        for target in (20, 25, 30):
            if np.any(snr >= target):
                found = mpimpy.design(x, w, space, target_dB=target, cost=cost)
                assert found.cost == grid.costs[snr >= target].min()
                # designs that the law refuses have no figure, and are simulated in their turn
                assert sum(one.scaled_dB is not None for one in found.checks) <= 10
                assert len(found.checks) <= 30


def test_means_over_chips_where_cells_are_frozen(operands):
    space = {"write_var": [0.02, 0.1], "radc": [1024]}
    found = mpimpy.design(*operands, space, target_dB=10, cost="cells")
    assert found.chips == 3
    x, w = operands
    engine = found.engine
    errors = [engine.program(w, chip=chip).read(x, 0) - x @ w for chip in range(3)]
    mean = np.mean([np.sum(error**2) for error in errors])
    assert found.snr_dB == pytest.approx(10 * np.log10(np.sum((x @ w) ** 2) / mean))
    assert mpimpy.design(*operands, space, target_dB=10, cost="cells", chips=1).chips == 1
    assert mpimpy.design(*operands, space, target_dB=10, cost="cells") == found


def test_the_engine_of_the_answer_gives_its_snr(operands):
    x, w = operands
    found = mpimpy.design(x, w, {"radc": [256, 512], "var": [0.02]}, target_dB=20, cost="cells", seed=5)
    assert found.snr_dB == pytest.approx(mpimpy.SNR(found.engine.program(w).read(x, read=0), x @ w), abs=1e-9)


@pytest.mark.parametrize("trial", [0, 6, 7])
def test_products_of_few_outputs_are_simulated(trial):
    # the SNR of four outputs is some dB away from that of a law
    rng = np.random.default_rng(3)
    for _ in range(trial + 1):
        x, w = rng.standard_normal((4, 64)), rng.standard_normal((64, 1))
    space = {"radc": [48, 64, 128, 192, 256, 512, 1024], "var": [0.01, 0.03], "w_mapping": ["twos", "pair"]}
    grid, snr = exhaustive((x, w), space, "conversions*codes")
    for target in (24, 30, 36):
        if np.any(snr >= target):
            found = mpimpy.design(x, w, space, target_dB=target, cost="conversions*codes")
            assert found.cost == grid.costs[snr >= target].min()


def test_margins_are_wide_where_few_outputs_count():
    x, w = np.random.default_rng(0).standard_normal((2, 64, 64))
    assert make_bench(x, w, 0, 1).scatter_dB < 0.15
    assert make_bench(x[:8], w[:, :8], 0, 1).scatter_dB == pytest.approx(0.77, abs=0.15)
    assert make_bench(x * 10.0 ** np.arange(64)[:, None], w, 0, 1).scatter_dB > 0.7
    assert make_bench(x * 0, w, 0, 1).scatter_dB > 0.7


def test_all_designs_are_simulated_before_a_search_fails(operands, monkeypatch):
    # figures that are 60 dB too low hide every design
    def low(group, law):
        snr, deviation = figures(group, law)
        return snr - 60, deviation

    figures = grids._figures
    monkeypatch.setattr(grids, "_figures", low)
    _, snr = exhaustive(operands, SPACE, "conversions*codes")
    found = mpimpy.design(*operands, SPACE, target_dB=20, cost="conversions*codes")
    assert found.snr_dB >= 20
    with pytest.raises(ValueError, match=f"none of 48 designs reaches target_dB=90: the best has {snr.max():.2f} dB"):
        mpimpy.design(*operands, SPACE, target_dB=90, cost="cells")
    monkeypatch.setattr("mpimpy.designs.cheapest.LAST", 3)
    with pytest.raises(ValueError, match=r"none of 3 simulated designs \(of 48\) reaches .*: the best of them has"):
        mpimpy.design(*operands, SPACE, target_dB=90, cost="cells")


def test_where_budgets_do_not_scale_designs_are_simulated(operands):
    space = {"radc": [64, 256], "snap": [True], "x_slices": [[1] * 8], "w_slices": [[1] * 8], "var": [0.01]}
    found = mpimpy.design(*operands, space, target_dB=20, cost="conversions*codes")
    assert found.checks[0].scaled_dB is None
    assert found.settings["radc"] == 64
    both = {"var": [0, 0.05], "radc": [None, 512]}
    ideal = mpimpy.design(*operands, both, target_dB=35, cost="cells")
    assert (ideal.settings["radc"], ideal.settings["var"]) == (None, 0)


def test_designs_that_cannot_be_built_are_counted(operands):
    space = {"g_level": [4, 16], "radc": [256, 1024]}
    found = mpimpy.design(*operands, space, target_dB=10, cost="cells")
    assert (found.designs, found.skipped) == (2, 2)
    assert "needs 16 levels but g_level=4" in found.skipped_because
    assert "2 cannot be built: weight slice of 4 bits" in str(found)
    with pytest.raises(ValueError, match="none of 4 designs can be built: weight slice of 4 bits needs 16 levels"):
        mpimpy.design(*operands, space | {"g_level": [4, 8]}, target_dB=10, cost="cells")


def test_nothing_reaches_the_target(operands):
    with pytest.raises(
        ValueError, match=r"none of 48 designs reaches target_dB=90: the best has [34]\d\.\d+ dB, at cost"
    ):
        mpimpy.design(*operands, SPACE, target_dB=90, cost="cells")


@pytest.mark.parametrize(
    ("space", "more", "error", "says"),
    [
        ({"rdac": 16}, {}, TypeError, r"must be a list of values, such as \[16\]"),
        ({"radcs": [16]}, {}, TypeError, "did you mean 'radc'"),
        ({"seed": [16]}, {}, TypeError, r"seed is no setting of a design: use design\(..., seed=\)"),
        ({"chip": [16]}, {}, TypeError, r"use design\(..., chips=\)"),
        ({}, {}, TypeError, "must be a dict of settings"),
        ({"radc": [256, 256]}, {}, ValueError, "has a value twice"),
        ({"var": [0.01, -1]}, {}, ValueError, "var=-1 is out of range"),
        ({"radc": [256]}, {"cost": "cell"}, TypeError, "did you mean 'cells'"),
        ({"radc": [256]}, {"cost": 3}, TypeError, "must be a callable of an engine and its counts"),
        ({"radc": [256]}, {"cost": lambda *_: np.nan}, ValueError, "the cost of a design=nan must be finite"),
        ({"radc": [None]}, {"cost": "conversions*bits"}, ValueError, "an ideal ADC, radc=None, has no number of codes"),
        ({"radc": [256]}, {"chips": 0}, ValueError, "chips=0 is out of range"),
    ],
)
def test_wrong_arguments(operands, space, more, error, says):
    with pytest.raises(error, match=says):
        mpimpy.design(*operands, space, **({"target_dB": 10, "cost": "cells"} | more))


def test_operands_are_checked(operands):
    x, w = operands
    for given, says in (((x, w[0]), "weights are one matrix"), ((x[:0], w), "no product to measure")):
        with pytest.raises(ValueError, match=says):
            mpimpy.design(*given, {"radc": [256]}, target_dB=1, cost="cells")


def test_front_and_table(operands):
    found = mpimpy.design(*operands, SPACE, target_dB=20, cost="conversions*codes")
    costs = [one.cost for one in found.front]
    figures = [one.scaled_dB if one.snr_dB is None else one.snr_dB for one in found.front]
    assert costs == sorted(set(costs))
    assert figures == sorted(set(figures))
    text = str(found)
    assert "20 dB wanted" in text
    assert "48 designs by 4 budgets" in text
    table = found.to_dataframe()
    assert list(table.columns) == [*SPACE, "cost", "scaled_dB"]
    assert len(table) == 48
    assert DPETensor(**found.settings).config == found.engine.config


def test_built_in_costs():
    engine = DPETensor(radc=255, seed=1)
    found = counts(engine.config, 10, 64, 64)
    value = {name: cost_of(cost, engine, found) for name, cost in COSTS.items()}
    cells = 4 * 64 * 64 + 4 * 64
    assert value["cells"] == cells
    assert value["cells*bits"] == 4 * cells
    assert value["arrays"] == 4
    assert value["conversions"] == 10 * 64 * 16
    assert value["conversions*bits"] == pytest.approx(10 * 64 * 16 * np.log2(255))
    assert value["conversions*codes"] == 10 * 64 * 16 * 255
    codes = COSTS["conversions*codes"]
    for settings, each in (
        # one of three slices of an offset has currents of two signs
        ({"w_mapping": "offset"}, (255 + 255 + 509) / 3),
        ({"adc_per": "product"}, 509),
        ({"adc_range": (-1e-5, 1e-5)}, 255),
        ({"adc_range": 1e-5}, 255),
    ):
        other = DPETensor(radc=255, seed=1, **settings)
        told = counts(other.config, 1, 64, 1)
        assert codes(other, told) == pytest.approx(told.adc_conversions * each), settings
    pair = DPETensor(radc=255, w_mapping="pair", seed=1)
    assert COSTS["conversions*codes"](pair, counts(pair.config, 1, 64, 1)) == 12 * 509
    lossless = DPETensor(adc_range="lossless", x_slices=[1, 1], w_slices=[1, 1], array_size=(30, 1), seed=1)
    assert COSTS["conversions*codes"](lossless, counts(lossless.config, 1, 30, 1)) == 4 * 31


def test_a_cost_is_called_once_for_what_it_looks_at(operands):
    calls = []

    @looks_at("radc")
    def cost(engine, found):
        calls.append((engine.config.adc.radc, found.cells))
        return engine.config.adc.radc

    space = {"radc": [256, 512], "var": [0.01, 0.02, 0.05], "vnoise": [0.01, 0.02]}
    mpimpy.design(*operands, space, target_dB=5, cost=cost)
    assert calls == [(256, 128 * 16 * 4), (512, 128 * 16 * 4)]
    with pytest.raises(TypeError, match="did you mean 'radc'"):
        looks_at("rad")


def test_groups_share_what_does_not_scale():
    space = as_space({"radc": [256, None, 512], "var": [0.1, 0.5], "rdac": [16, 32]})
    found = list(groups(space))
    assert sum(int(np.prod(group.shape)) for group in found) == 12
    assert found[0].settings(found[0].simulated()) == {"radc": 512, "var": 0.1, "rdac": 16}


# ---- the command

FILE = """
x = {shape = [8, 64], seed = 0}
w = {shape = [64, 8], seed = 1}
cost = "conversions*codes"
[settings]
var = 0.02
[space]
radc = [128, 256, 1024]
"""


def test_command(tmp_path, capsys):
    path = tmp_path / "design.toml"
    path.write_text(FILE)
    assert cli.main(["design", str(path), "--target", "15"]) == 0
    shown = capsys.readouterr().out
    assert "15 dB wanted" in shown
    assert "3 designs by 1 budgets" in shown
    path.write_text(FILE.replace("cost =", "target = 90\ncost ="))
    assert cli.main(["design", str(path)]) == 2
    assert "none of 3 designs reaches target_dB=90" in capsys.readouterr().err


def test_command_with_a_cost_and_matrices_of_ones_own(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((8, 64)))
    (tmp_path / "own_cost_of_designs.py").write_text(
        textwrap.dedent("""
            def cost(engine, counts):
                return engine.config.adc.radc + counts.cells
            """)
    )
    path = tmp_path / "design.toml"
    text = FILE.replace("{shape = [8, 64], seed = 0}", '"x.npy"').replace(
        "conversions*codes", "own_cost_of_designs:cost"
    )
    path.write_text(text)
    assert cli.main(["design", str(path), "--target", "10"]) == 0
    assert f"cost      {64 * 8 * 4 + 128}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("radc = [128", "radc = [1, 128", "line 8: space.radc: radc=1 is out of range"),
        ("[128, 256, 1024]", "128", "line 8: space.radc"),
        ("radc", "radcs", "line 8: space.radcs: unknown setting 'radcs'"),
        ("var = 0.02", "var = -1", "line 6: settings.var: var=-1 is out of range"),
        ("var = 0.02", "radc = 256", "line 8: space.radc: radc is in [settings] too"),
        ('"conversions*codes"', '"joules"', "line 4: cost: 'joules' must be one of cells"),
        ('cost = "conversions*codes"', "", "cost is missing"),
        ("seed = 0", "sed = 0", "line 2: x: unknown key 'sed'"),
        ("cost =", "chips = 0\ncost =", "line 4: chips: chips=0 is out of range"),
    ],
)
def test_errors_of_the_file_name_its_line(tmp_path, capsys, old, new, says):
    path = tmp_path / "design.toml"
    path.write_text(FILE.replace(old, new))
    assert cli.main(["design", str(path), "--target", "15"]) == 2
    assert says in capsys.readouterr().err


def test_a_target_is_needed(tmp_path, capsys):
    path = tmp_path / "design.toml"
    path.write_text(FILE)
    assert cli.main(["design", str(path)]) == 2
    assert "target is missing" in capsys.readouterr().err
