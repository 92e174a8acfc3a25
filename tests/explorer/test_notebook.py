"""The notebook of marimo runs as a script."""

import importlib.util
import pathlib

import pytest

pytest.importorskip("marimo")
pytest.importorskip("matplotlib")

PATH = pathlib.Path(__file__).parents[2] / "examples" / "notebook_marimo.py"


@pytest.mark.slow
def test_every_cell_runs(capsys):
    from mpimpy import explore

    spec = importlib.util.spec_from_file_location("notebook_marimo", PATH)
    notebook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebook)
    _, names = notebook.app.run()
    # the notebook begins where the explorer does
    assert names["report"].snr_dB == explore(pictures=False)["snr_dB"]
    assert str(names["report"]) in capsys.readouterr().out
    assert names["axes"][0].get_title() == f"SNR {names['report'].snr_dB:.1f} dB"
