"""What the ancestors got wrong, each pinned: the reproducer that failed there must work here."""

import math

import numpy as np
import pytest
from libraries import same_bits, to_torch, torch

from mpimpy import SNR, DPETensor, MapReducedot, MpimpyWarning, SlicedData


@pytest.fixture
def square(rng):
    return rng.standard_normal((64, 64)), rng.standard_normal((64, 64))


def quiet(**settings):
    return {"var": 0, "rdac": 256, "radc": 2**14, "g_level": 16, "seed": 1} | settings


def block_snr(x, w, **settings):
    """SNR with one scale per 64 x 64 block, as the predecessors' defaults were."""
    blocks = {"x_quant_gran": (64, 64), "w_quant_gran": (64, 64)}
    return SNR(MapReducedot(x, w, **quiet(**blocks, **settings)), x @ w)


def test_baseline(square):
    assert 36 < block_snr(*square) < 42
    assert 36 < block_snr(*square, bw_e=8) < 42


@pytest.mark.slow
def test_stuck_cells_run_and_do_something(square):
    # a NameError there
    assert block_snr(*square, stuck_fault_ratio=0.01) < block_snr(*square) - 5


@pytest.mark.parametrize(
    "setting",
    [
        {"vnoise": 0.05}, {"var": 0.05}, {"write_var": 0.05}, {"stuck_HGS": 0.01}, {"stuck_LGS": 0.05},
        {"radc": 64}, {"radc": None}, {"rdac": 16, "radc": 64}, {"HGS": 3e-7, "var": 0.05}, {"LGS": 5e-6, "var": 0.05},
        {"bw_e": 8}, {"bw_e": 1}, {"bw_e": 8, "dbfp_en": True}, {"snap": True}, {"array_size": (32, 64), "radc": 64},
        {"x_slices": [1, 1, 4]}, {"w_slices": [1, 1, 4]}, {"format": "fp16"}, {"x_quant_gran": "per-matrix"},
        {"w_quant_gran": "per-matrix"}, {"saturate": False, "var": 0.5}, {"g_level": 17, "var": 0.05},
        {"var": 0.05, "seed": 2}, {"write_var": 0.05, "chip": 1},
    ],
)  # fmt: skip
def test_no_setting_is_ignored(square, setting):
    # there: vnoise, bw_e and wire resistance changed nothing. Compare with all but one setting.
    x, w = square[0] * 3.0, square[1]
    *rest, last = setting.items()
    changed = MapReducedot(x, w, **quiet(**setting))
    if last[0] in ("var", "seed", "chip") or len(setting) == 1:
        rest = [item for item in setting.items() if item[0] != last[0]]
    base = dict(rest) if last[0] not in ("dbfp_en",) else {"bw_e": 8}
    assert not same_bits(changed, MapReducedot(x, w, **quiet(**base)))


def test_exponent_width_bounds_block_floating_point(square):
    x, w = square
    assert block_snr(x * 1e8, w, bw_e=8) > 36
    assert block_snr(x * 1e8, w, bw_e=4) < 1  # saturated: 1e8 needs an exponent of 26
    assert block_snr(x * 1e8, w, bw_e=1) < 1


def test_small_numbers_keep_their_precision(square):
    x, w = square
    assert block_snr(x * 1e-12, w, bw_e=8) > 36
    assert block_snr(x * 1e-12, w) > 36


@pytest.mark.slow
def test_float64_stays_float64(square):
    x, w = square
    for bits in (21, 25, 29, 45, 53):
        settings = {"x_slices": [1] + [4] * (bits // 4), "w_slices": [1] + [4] * (bits // 4), "radc": None, "rdac": 16}
        y = MapReducedot(x, w, var=0, seed=1, **settings)
        assert y.dtype == np.float64
        assert SNR(y, x @ w) > min(6.02 * (bits - 3), 280)


@pytest.mark.parametrize(("a", "b"), [(1e40, 1), (1e-50, 1), (1e20, 1e20), (1e-150, 1e-150), (1e150, 1e150)])
def test_float64_keeps_its_range(square, a, b):
    x, w = square
    y = MapReducedot(x * a, w * b, **quiet())
    assert np.all(np.isfinite(y))
    assert SNR(y / (a * b), x @ w) > 38


def test_33_bits_run(square):
    assert block_snr(*square, x_slices=[1] + [4] * 8, w_slices=[1] + [4] * 8, rdac=16) > 36


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_number_is_named_not_spread(square, bad):
    x, w = square
    x = x.copy()
    x[3, 5] = bad
    with pytest.raises(ValueError, match=rf"a has {bad} at index \(3, 5\): every element must be finite"):
        MapReducedot(x, w)


@pytest.mark.parametrize("shape", [(64, 64), (128, 128), (100, 60)])
def test_t_is_the_transpose(rng, shape):
    engine = DPETensor(**quiet())
    w = rng.standard_normal(shape)
    W = SlicedData([1, 1, 2, 4], is_weight=True)
    W.slice_data_imp(engine, w)
    x = rng.standard_normal((20, shape[1]))
    sx = SlicedData([1, 1, 2, 4])
    sx.slice_data_imp(engine, x)
    assert W.t().shape == shape[::-1]
    assert SNR(engine(sx, W.t()), x @ w.T) > 35


def test_granularity_finer_than_the_array_is_kept_or_said():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 64)) * np.logspace(0, -6, 64)[:, None]
    w = rng.standard_normal((64, 64))
    y = MapReducedot(x, w, **quiet())
    for row in (0, 32, 63):
        assert SNR(y[row], x[row] @ w) > 35
    sx = SlicedData([1, 1, 2, 4], quant_gran=(1, 64), paral_size=(64, 64))
    with pytest.warns(MpimpyWarning, match="rounded up"):
        sx.slice_data_imp(DPETensor(), x)
    sx = SlicedData([1, 1, 2, 4], quant_gran=(1, 64), paral_size=(1, 64))
    sx.slice_data_imp(DPETensor(), x)
    assert SNR(sx.quantized_data[63], x[63]) > 35


def test_no_number_of_levels_distorts_a_digit(square):
    x, w = square
    reference = MapReducedot(x, w, **quiet(radc=None))
    for levels in (16, 17, 20, 24, 31, 32, 64):
        np.testing.assert_allclose(
            MapReducedot(x, w, **quiet(radc=None, g_level=levels)), reference, rtol=1e-10, atol=1e-10
        )
        np.testing.assert_allclose(
            MapReducedot(x, w, **quiet(radc=None, rdac=levels)), reference, rtol=1e-10, atol=1e-10
        )
    for setting in ({"g_level": 8}, {"rdac": 8}):
        with pytest.raises(ValueError, match=r"slice of 4 bits needs 16 levels but"):
            MapReducedot(x, w, **quiet(**setting))


@pytest.mark.slow
def test_slices_of_16_bits(square):
    levels = {"g_level": 65536, "rdac": 65536}
    assert block_snr(*square, x_slices=[1, 15], w_slices=[1, 15], **levels | {"radc": None}) > 80
    assert block_snr(*square, x_slices=[1, 16], w_slices=[1, 16], **levels | {"radc": None}) > 86


def test_shapes_that_failed(rng):
    w = rng.standard_normal((64, 64))
    for shape in ((64,), (2, 2, 64, 64), (0, 64), (2, 0, 64)):
        x = rng.standard_normal(shape)
        y = MapReducedot(x, w, **quiet())
        assert y.shape == (*shape[:-1], 64)
        if x.size:
            assert SNR(y, x @ w) > 35


def test_inputs_cut_for_other_arrays_are_refused(square):
    engine = DPETensor(seed=1)
    x, w = SlicedData([1, 1], paral_size=(64, 32)), SlicedData([1, 1], is_weight=True, paral_size=(64, 64))
    x.slice_data_imp(engine, square[0])
    w.slice_data_imp(engine, square[1])
    with pytest.raises(ValueError, match=r"inputs are cut for arrays of 32 rows and weights for 64"):
        engine(x, w)


def test_adc_saturates():
    y = MapReducedot(np.ones((1, 64)), np.ones((64, 64)), var=0.5, seed=1)
    assert y.max() <= 64 * (1 + 1e-12)


def test_seeds_decide(square):
    # hard-coded seeds there: write noise and faults the same for every seed
    noisy = {"var": 0, "write_var": 0.1, "stuck_HGS": 0.01}
    one, two = (DPETensor(seed=seed, **noisy).program(square[1]).conductance() for seed in (1, 2))
    assert np.mean(one == two) < 0.2


def test_slices_may_be_a_list(square):
    engine = DPETensor(seed=1)
    for kind in (list, tuple, np.array):
        x = SlicedData(kind([1, 1, 2, 4]), inference=True)
        x.slice_data_imp(engine, square[0])
        assert x.size() == (64, 64)
    if torch is not None:
        assert len(SlicedData(torch.tensor([1, 1, 2, 4]))) == 4


# -- mPimPy -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("m", "k", "n"), [(32, 33, 32), (8, 48, 64), (32, 32, 33), (40, 40, 40), (32, 64, 33), (8, 31, 64), (1, 1, 1)]
)
def test_padding_when_one_dimension_is_a_multiple_of_the_array(rng, m, k, n):
    x, w = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    for backend in ("numba", "reference"):
        y = MapReducedot(x, w, **quiet(array_size=(32, 32), backend=backend))
        assert SNR(y, x @ w) > 35


def test_inner_dimensions_are_checked(rng):
    with pytest.raises(ValueError, match=r"shapes \(8, 64\) and \(32, 32\) do not fit"):
        MapReducedot(rng.standard_normal((8, 64)), rng.standard_normal((32, 32)))


def test_a_tiny_negative_number_beside_a_large_one():
    x = np.zeros((1, 32))
    x[0, :2] = 1, -1e-20
    y = MapReducedot(x, np.eye(32), **quiet(format="fp32"))
    np.testing.assert_allclose(y[0, :3], [1, 0, 0], atol=1e-3)


def test_exponent_is_clipped_before_the_mantissa_is_aligned(square):
    x, w = np.abs(square[0]), np.abs(square[1])
    y = MapReducedot(x * 100, w, **quiet(bw_e=4, radc=None))
    assert SNR(y, 100 * x @ w) > 30
    clipped = MapReducedot(np.full((1, 64), 1e6), np.eye(64), **quiet(bw_e=4, radc=None))
    np.testing.assert_allclose(clipped, 127 * 2.0**7 / 64, rtol=1e-12)  # the largest code at the largest exponent


def test_rectangular_arrays_and_products(rng):
    x, w = rng.standard_normal((8, 32)), rng.standard_normal((32, 16))
    for size in ((64, 32), (32, 64), (5, 7), (1, 1)):
        assert SNR(MapReducedot(x, w, **quiet(array_size=size)), x @ w) > 30


def test_vectors_follow_np_dot(rng):
    a, b, w = rng.standard_normal(32), rng.standard_normal(32), rng.standard_normal((32, 4))
    assert np.shape(MapReducedot(a, b, seed=0)) == ()
    assert MapReducedot(w.T, a, seed=0).shape == (4,)
    assert MapReducedot(np.ones((2, 32, 32)), w, seed=0).shape == (2, 32, 4)


@pytest.mark.skipif(torch is None, reason="the torch extra is not installed")
def test_the_predecessors_example_runs_with_its_imports_changed(rng):
    mat_data, x_data = (to_torch(rng.standard_normal((100, 100))) for _ in "wx")
    blocks = torch.tensor([1, 1, 2, 4])
    mat = SlicedData(
        blocks, device=torch.device("cpu"), bw_e=8, is_weight=True, quant_gran=(64, 64), paral_size=(64, 64)
    )
    x = SlicedData(blocks, device=torch.device("cpu"), bw_e=8, quant_gran=(64, 64), paral_size=(64, 64))
    engine = DPETensor(var=0.05, g_level=16, rdac=16, radc=2**8, seed=1)
    mat.slice_data_imp(engine, mat_data)
    x.slice_data_imp(engine, x_data)
    result = engine(x, mat).cpu().numpy()
    assert 5 < SNR(result, torch.matmul(x_data, mat_data).cpu().numpy()) < 20
