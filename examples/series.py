"""A recurrent network on crossbars: the temperature of the sea off Peru, forecast by an LSTM.

    pip install -e ".[examples]"
    python examples/series.py [--chips 5] [--small] [--out series.png]

statsmodels ships the mean temperature of the sea's surface in every month from 1950 to 2010 (region Nino 1+2 of
NOAA). An LSTM with 32 cells sees 24 months and forecasts the next one. It learns the years to 1989 digitally, and
crossbars forecast the others. The mean of each month, a forecast that knows the calendar alone, is to be beaten.
"""

import argparse

import torch
from digits import MAPPINGS, copies_on_chips

import mpimpy
from mpimpy import plot

PAST, LEARNED = 24, 40 * 12  # months
SPREADS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # write variations
SHOWN = 0.3  # that of the forecasts in the picture


class Forecast(torch.nn.Module):
    """An LSTM, and a linear layer on its last state."""

    def __init__(self, size=32):
        super().__init__()
        self.lstm, self.out = torch.nn.LSTM(1, size, batch_first=True), torch.nn.Linear(size, 1)

    def forward(self, x):
        """Return the next values of series, shape (N,), from their past, shape (N, PAST, 1)."""
        return self.out(self.lstm(x)[0][:, -1])[:, 0]


def load():
    """Return the temperatures of the months, degrees Celsius, from January 1950 to December 2010."""
    try:
        from statsmodels.datasets import elnino
    except ModuleNotFoundError as error:
        msg = "the series needs statsmodels, which is not installed: pip install statsmodels"
        raise SystemExit(msg) from error
    return torch.tensor(elnino.load_pandas().data.to_numpy()[:, 1:].ravel(), dtype=torch.float32)


def train(model, past, following, epochs=60):
    """Train a model in place, by Adam on the squared error, and return it in `eval` mode."""
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(past)).chunk(8):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(model(past[batch]), following[batch]).backward()
            optimiser.step()
        schedule.step()
    return model.eval()


def error(forecast, measured):
    """Return the root of the mean squared error over the months, the last axis."""
    return (forecast - measured).square().mean(-1).sqrt()


@torch.no_grad()
def forecasts(model, past, engine, chips, calibration=None):
    """Return the forecasts of copies of the model; see `copies_on_chips`."""
    return torch.stack([each(past) for each in copies_on_chips(model, engine, chips, calibration)])


def main(arguments=None):
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chips", type=int, default=5, help="chips of each point (5)")
    parser.add_argument("--small", action="store_true", help="one point, two years, a network that has learned little")
    parser.add_argument("--out", default="series.png", help="picture to write")
    given = parser.parse_args(arguments)
    degrees = load()
    mean, scale = degrees[:LEARNED].mean(), degrees[:LEARNED].std()
    past = ((degrees - mean) / scale).unfold(0, PAST, 1)[:-1, :, None].contiguous()  # shape (months, PAST, 1)
    known, past = past[: LEARNED - PAST], past[LEARNED - PAST :]
    torch.manual_seed(0)
    model = train(Forecast(), known, (degrees[PAST:LEARNED] - mean) / scale, 1 if given.small else 60)
    if given.small:
        degrees, past = degrees[: LEARNED + 24], past[:24]
    measured = degrees[LEARNED:]
    calendar = degrees[:LEARNED].reshape(-1, 12).mean(0).repeat(len(measured) // 12)
    digital = model(past).detach() * scale + mean
    results = {name: error(values, measured) for name, values in (("calendar", calendar), ("digital", digital))}
    print("error of the forecast, root mean square, degrees Celsius")
    for name, value in results.items():
        print(f"{name:<50}{value:.3f}")
    spreads = (SHOWN,) if given.small else SPREADS
    left, right = plot.new_axes(1, 2, size=(4.6, 3.2))[0]
    years = (1990 + (torch.arange(len(measured)) + 0.5) / 12).numpy()
    left.plot(years, measured, "k", lw=1, label="measured")
    for color, (mapping, settings) in enumerate(MAPPINGS.items()):
        for known_data, line, suffix in ((None, "o:", ""), (known, "s-", ", calibrated")):
            name, errors = mapping + suffix, []
            for spread in spreads:
                engine = mpimpy.DPETensor(seed=0, write_var=spread, **settings)
                values = forecasts(model, past, engine, range(given.chips), known_data) * scale + mean
                errors.append(error(values, measured))
                print(f"{name:<34}write_var={spread:<6}{errors[-1].mean():.3f} +- {errors[-1].std():.3f}")
                if spread == SHOWN and known_data is None:
                    low, high = values.amin(0).numpy(), values.amax(0).numpy()
                    left.fill_between(years, low, high, color=f"C{color}", alpha=0.5, lw=0)
            results[name] = torch.stack(errors)
            how = {"fmt": line, "color": f"C{color}", "ms": 4, "lw": 1, "capsize": 2}
            right.errorbar(spreads, results[name].mean(1), results[name].std(1), **how, label=name)
    for name, line in (("digital", "--"), ("calendar", "-.")):
        right.axhline(results[name], color="0.5", lw=1, ls=line, label=name)
    left.set(xlim=(1990, min(1999, years[-1])), xlabel="year", ylabel="temperature of the sea (°C)")
    left.set_title(f"forecasts of {given.chips} chips, write variation {SHOWN}", fontsize=10)
    right.set(xlabel="write variation (relative)", ylabel="error, root mean square (°C)", ylim=(0, None))
    handles = [left.lines[0], *right.get_legend_handles_labels()[0]]
    left.figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    left.figure.savefig(given.out, dpi=200)
    return results


if __name__ == "__main__":
    main()
