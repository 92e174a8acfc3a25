"""What is drawn for each conversion, where there are more tiles along the summed axis than one key has addresses for."""

import numpy as np
import pytest
from libraries import same_bits
from strategies import some_runners

from mpimpy import ADC, DAC, Device, Engine, Format, Partial, Tile
from mpimpy.noise import derive

TILES = 1024
FEW = Format((1, 1))
KINDS = {
    "ADC noise": {"device": Device(var=0), "adc": ADC(64, noise_lsb=1.0)},
    "gains and offsets too": {"device": Device(var=0), "adc": ADC(64, noise_lsb=1.0, offset_lsb=1.0, gain_error=0.2)},
    "rows": {"device": Device(var=0.02, redraw="row"), "adc": ADC(64)},
    "rows, no reference": {"device": Device(var=0.02, redraw="row"), "adc": ADC(64), "tile": Tile(1, 2, "ideal")},
    "all": {
        "device": Device(var=0.1, redraw="slice"),
        "dac": DAC(vnoise=0.01),
        "adc": ADC(64, noise_lsb=1.0, offset_lsb=1.0, gain_error=0.2),
    },
}


def engine_of(given, **more):
    return Engine(**({"tile": Tile(1, 2), "inputs": FEW, "weights": FEW, "seed": 7} | given | more))


@pytest.fixture
def operands(rng):
    depth = 2 * TILES + 24  # of one row each
    return rng.choice([-1.0, 1.0], (1, depth)), rng.choice([-1.0, 1.0], (depth, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_every_backend_draws_the_same_on_both_sides_of_a_key(operands, kind):
    x, w = operands
    given, rows = KINDS[kind], slice(TILES - 16, TILES + 17)
    expected = engine_of(given).program(w[rows], origin=(rows.start, 0)).read(x[:, rows], read=3)
    for name, make, backend in some_runners(list(KINDS).index(kind)):
        part = engine_of(given, backend=backend).program(make(w[rows]), origin=(rows.start, 0))
        assert same_bits(part.read(make(x[:, rows]), read=3), expected), name


@pytest.mark.parametrize("given", KINDS.values(), ids=KINDS)
def test_parts_have_the_noise_of_the_whole(operands, given):
    x, w = operands
    engine = engine_of(given)
    whole = engine.program(w).read(x, read=3)
    for cuts in ([0, TILES, 2 * TILES], [0, 16, TILES + 64, 2 * TILES]):
        total = Partial()
        for start, stop in zip(cuts, [*cuts[1:], len(w)], strict=True):
            engine.program(w[start:stop], origin=(start, 0)).read(x[:, start:stop], read=3, into=total)
        assert same_bits(total.result(), whole)


@pytest.mark.parametrize("kind", ["ADC noise", "rows", "rows, no reference"])
def test_tiles_beyond_have_a_derived_key_and_count_from_their_first(operands, kind):
    x, w = operands
    for stream in (None, "a"):
        for block in (1, 2):
            rows = slice(TILES * block + 8, TILES * block + 24)
            part = engine_of(KINDS[kind]).in_stream(stream, 3).program(w[rows], origin=(rows.start, 0))
            # the same tiles of the first 1,024, under that key
            key = derive(7 if stream is None else derive(7, "stream", stream), "tiles", block)
            other = engine_of(KINDS[kind], seed=key).program(w[rows], origin=(8, 0))
            assert same_bits(part.read(x[:, rows]), other.read(x[:, rows], read=3))


def test_gains_and_offsets_count_all_tiles(operands):
    x, w = operands
    given = {"device": Device(var=0), "adc": ADC(64, offset_lsb=1.0, gain_error=0.2)}
    frozen, rows = engine_of(given), slice(TILES, TILES + 16)
    # noise that is far too weak to show leaves them as they are
    weak = engine_of(given | {"adc": ADC(64, noise_lsb=1e-3, offset_lsb=1.0, gain_error=0.2)})
    found = [each.program(w[rows], origin=(TILES, 0)).read(x[:, rows], read=3) for each in (frozen, weak)]
    before = frozen.program(w[rows]).read(x[:, rows], read=3)
    assert np.abs(found[0] - found[1]).max() < np.abs(found[0] - before).max() / 4


def test_a_key_that_changes_inside_a_panel_is_refused(operands):
    x, w = operands
    engine, rows = engine_of(KINDS["ADC noise"]), slice(TILES - 24, TILES + 24)
    message = (
        r"begins at row 1000, inside a panel of 16 arrays, and goes on past row 1024, from where on ADC noise has another "
        r"key: begin at a multiple of 16 rows, or cut the part there"
    )
    with pytest.raises(ValueError, match=message):
        engine.program(w[rows], origin=(rows.start, 0)).read(x[:, rows], read=0)
    for start, stop in ((TILES - 24, TILES), (TILES, TILES + 24), (TILES + 3, TILES + 24)):
        engine.program(w[start:stop], origin=(start, 0)).read(x[:, start:stop], read=0)
    frozen = engine_of({"adc": ADC(64, offset_lsb=1.0)})
    frozen.program(w[rows], origin=(rows.start, 0)).read(x[:, rows], read=0)


def test_a_transposed_read_says_what_it_has_no_addresses_for(rng):
    engine = engine_of({"adc": ADC(64, noise_lsb=1.0), "device": Device(var=0), "tile": Tile(2, 1, "ideal")})
    w = rng.standard_normal((2, TILES + 1))
    engine.program(w[:, 1:]).T.read(w[0, 1:])
    message = (
        r"the ADC noise of a transposed read has addresses for 1024 arrays side by side, and 1025 columns take more: "
        r"program the transposed matrix, engine.program\(w.T\)"
    )
    with pytest.raises(ValueError, match=message):
        engine.program(w).T.read(w[0])
    engine.program(w.T).read(w[0])
