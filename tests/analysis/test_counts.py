"""Sizes and conversions without a read: those that a report of a read shows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import examples, products

from mpimpy import Config, Engine, Format, Tile
from mpimpy.analysis.counts import counts


@given(products(), st.integers(1, 5))
@settings(max_examples=examples(5))
def test_counts_are_those_of_cells_and_of_a_report(case, rows):
    config, _, w = case
    matrix = Engine.from_config(config, seed=1).program(w)
    found = counts(config, rows, *w.shape)
    assert found.tiles == matrix.tiles
    assert found.cells == matrix.conductance().size
    assert found.arrays == found.tiles[0] * found.tiles[1] * found.tiles[2]
    report = matrix.report(w.T[:1].repeat(rows, axis=0))
    for name in ("tiles", "cells", "reference_cells", "dac_conversions", "adc_conversions"):
        assert getattr(found, name) == getattr(report, name)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        # (tiles, cells, reference cells, DAC, ADC conversions, additions) of (2, 5) by (5, 3) on arrays of 4 x 2
        (Config(tile=Tile(4, 2)), ((2, 2, 4), 60, 64, 2 * 4 * 5 * 2 * 4, 2 * 4 * 3 * 2 * 4, 192 - 6)),
        (
            Config(tile=Tile(4, 2), weights=Format((1, 2, 1), mapping="pair"), inputs=Format((1, 1))),
            ((2, 2, 4), 60, 0, 2 * 2 * 5 * 2 * 4, 2 * 2 * 3 * 2 * 2, 48 - 6),
        ),
        (
            Config(tile=Tile(8, 8), weights=Format((1, 3), bw_e=8, double=True), inputs=Format((1, 1))),
            ((1, 1, 4), 60, 32, 2 * 2 * 5 * 4, 2 * 2 * 3 * 4, 48 - 6),
        ),
    ],
)
def test_counts_by_hand(config, expected):
    found = counts(config, 2, 5, 3)
    names = ("tiles", "cells", "reference_cells", "dac_conversions", "adc_conversions", "additions")
    assert tuple(getattr(found, name) for name in names) == expected


def test_nothing_counts_for_nothing():
    assert counts(Config(), 0, 5, 3).adc_conversions == 0
    assert counts(Config(), 0, 5, 3).additions == 0
