"""Run scripts of the gallery, and save their pictures.

    python examples/draw.py plot_yield plot_drift [--out FOLDER]

A script binds its figures to names, and the site shows them. Here they are saved as plot_yield_1.png,
plot_yield_2.png and so on, in the current folder by default.
"""

import argparse
import pathlib
import runpy
import sys

from matplotlib.figure import Figure


def figures(names):
    """Return the figures among the names of a script, of axes too, each once."""
    found = [getattr(value, "figure", value) for value in names.values()]
    return list(dict.fromkeys(each for each in found if isinstance(each, Figure)))


def main(arguments=None):
    """Run the scripts, and return the paths of the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", nargs="+", help="such as plot_yield")
    parser.add_argument("--out", default=".", help="folder of the pictures")
    given = parser.parse_args(arguments)
    folder, saved = pathlib.Path(given.out), []
    for name in given.scripts:
        script = (pathlib.Path(__file__).parent / name).with_suffix(".py")
        if not script.is_file():
            sys.exit(f"{script} is no script: give names such as plot_yield")
        for number, figure in enumerate(figures(runpy.run_path(str(script))), 1):
            saved.append(folder / f"{script.stem}_{number}.png")
            figure.savefig(saved[-1])
            print(f"picture: {saved[-1]}")
    return saved


if __name__ == "__main__":
    main()
