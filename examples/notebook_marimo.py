"""One product on crossbars with sliders, as a notebook of marimo.

pip install marimo, then marimo edit examples/notebook_marimo.py
python examples/notebook_marimo.py   runs it once, with the values below, and prints the error budget
"""

import marimo

__generated_with = "0.25.2"

app = marimo.App(width="medium", app_title="One product on crossbars")


@app.cell
def _():
    import marimo as mo
    import numpy as np

    from mpimpy import DPETensor, plot

    return DPETensor, mo, np, plot


@app.cell
def _(mo):
    mo.md("""
    # One product on crossbars

    Move a slider: the cells that depend on it run again. The lines are those of any program: put your own matrices
    in the place of `x` and `w`.
    """)
    return


@app.cell
def _(mo):
    radc = mo.ui.slider(steps=[16, 32, 64, 128, 256, 512, 1024, 4096], value=256, label="ADC codes", show_value=True)
    var = mo.ui.slider(steps=[0, 0.01, 0.02, 0.05, 0.1, 0.2], value=0.05, label="read variation", show_value=True)
    rows = mo.ui.slider(steps=[16, 32, 64, 128, 256], value=64, label="rows of an array", show_value=True)
    w_mapping = mo.ui.dropdown(["twos", "pair", "offset"], value="twos", label="sign of the weights")
    mo.vstack([radc, var, rows, w_mapping])
    return radc, rows, var, w_mapping


@app.cell
def _(np):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((64, 128)), rng.standard_normal((128, 64))
    return w, x


@app.cell
def _(DPETensor, radc, rows, var, w, w_mapping, x):
    engine = DPETensor(radc=radc.value, var=var.value, array_size=(rows.value, 64), w_mapping=w_mapping.value, seed=1)
    W = engine.program(w)
    report = W.report(x, w)
    print(report)
    return W, report


@app.cell
def _(W, mo, plot, report, w, x):
    axes = plot.new_axes(1, 2, size=(6.0, 4.5))[0]
    plot.scatter(W.read(x, read=0), x @ w, axes[0], f"SNR {report.snr_dB:.1f} dB")
    plot.error_budget(report, axes[1])
    mo.as_html(axes[0].figure)
    return (axes,)


if __name__ == "__main__":
    app.run()
