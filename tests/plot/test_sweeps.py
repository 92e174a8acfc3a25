"""Pictures of sweeps."""

import numpy as np
import pytest

from mpimpy import plot

xarray = pytest.importorskip("xarray")
pytest.importorskip("matplotlib")


def found(radc=(16, 64, 1024), var=(0.0, 0.1), chips=2, **more):
    shape = (len(radc), len(var), chips)
    values = np.arange(np.prod(shape), dtype=float).reshape(shape)
    dims = ("radc", "var", "chip")
    return xarray.Dataset(
        {"SNR": (dims, values, {"units": "dB"}), "error": (dims, np.full(shape, "", object)), **more},
        {"radc": ("radc", np.asarray(radc), {"units": "codes"}), "var": list(var), "chip": range(chips)},
    )


def test_a_curve_for_each_other_setting():
    data = found()
    data.SNR[2, 1, 0] = np.nan
    data.SNR[0, 1, :] = np.inf
    ax = plot.sweep(data, title="a title")
    assert [line.get_label() for line in ax.lines] == ["var=0", "var=0.1"]
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[16, 0.5], [64, 4.5], [1024, 8.5]])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[64, 6.5], [1024, 11]])  # what failed is left out
    assert len(ax.collections) == 2  # bands over chips
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("radc (codes)", "SNR (dB)", "a title")
    assert ax.get_xscale() == "log"
    assert plot.sweep(data, x="var").get_xlabel() == "var"
    assert plot.sweep(found(radc=(16, 32))).get_xscale() == "linear"


def test_texts_have_places_in_order():
    ax = plot.sweep(found(radc=("64", "256", "none"), chips=1).sel(var=0.1))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["64", "256", "none"]
    assert ax.lines[0].get_xdata().tolist() == [0, 1, 2]
    assert ax.get_legend() is None
    assert not ax.collections


def test_numbers_in_any_order():
    ax = plot.sweep(found(radc=(64, 16, 32)).isel(var=0))
    assert ax.lines[0].get_xdata().tolist() == [16, 32, 64]


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(
        ValueError, match=r"has 13 curves over radc, .* at most: choose one value of var, such as found"
    ):
        plot.sweep(found(radc=range(1, 20), var=range(13)))
    with pytest.raises(ValueError, match="no results to draw"):
        plot.sweep(found().drop_vars("SNR"))
    with pytest.raises(ValueError, match="no settings that vary"):
        plot.sweep(found().isel(radc=0, var=0))
    with pytest.raises(TypeError, match="unknown setting 'rdac': did you mean 'radc'"):
        plot.sweep(found(), x="rdac")
    with pytest.raises(TypeError, match="unknown result 'SRN': did you mean 'SNR'"):
        plot.sweep(found(), of="SRN")


def test_colours_follow_the_order_of_numbers_and_lines_the_texts():
    ax = plot.sweep(found(radc=(64, 256), var=(0.1, 0.0, 0.05)), x="radc")
    grey = {line.get_label(): np.dot(line.get_color()[:3], [0.299, 0.587, 0.114]) for line in ax.lines}
    assert grey["var=0"] < grey["var=0.05"] < grey["var=0.1"]
    data = found(radc=("64", "none"), var=(0.0, 0.1)).rename(radc="mapping", var="g_level").assign_coords(x=[1, 2])
    data = data.expand_dims("radc").assign_coords(radc=[64]).isel(chip=[0])
    lines = {line.get_label(): line for line in plot.sweep(data, x="radc").lines}
    one, other = lines["mapping=64, g_level=0.1"], lines["mapping=none, g_level=0.1"]
    assert one.get_color() == other.get_color() != lines["mapping=64, g_level=0"].get_color()
    assert one.get_linestyle() != other.get_linestyle()
