"""The house: what importing costs, and that imports run one way, down the rooms."""

import ast
import hashlib
import pathlib
import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser

import pytest

import mpimpy
from mpimpy import backends

PACKAGE = pathlib.Path(mpimpy.__file__).parent
ROOT = PACKAGE.parent

# The floors of docs/architecture.md, from the bottom up; a room may use those before it in its own floor.
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
FLOORS = [line.split() for line in re.search(r"```rooms\n(.*?)```", ARCHITECTURE, re.DOTALL)[1].splitlines()[::-1]]
ORDER = [name for floor in FLOORS for name in floor]
LIBRARIES = {"numpy", "torch", "numba", "triton", "scipy", "matplotlib", "jax", "cupy", "threadpoolctl"}
LEAVES = {
    "cluster",
    "plot",
    "devices",
    "demo",
    "files",
    "cli",
    "autograd",
    "nn",
    "sweeps",
    "designs",
    "workloads",
    "solve",
    "studies",
    "explorer",
}


def sources():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield path, parts


def imports(path, parts):
    """Yield (name of the module or library, whether it belongs to the package)."""
    package = ("mpimpy", *parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            yield (rest.split(".")[0] if top == "mpimpy" else top), top == "mpimpy"


def test_every_module_has_a_room():
    names = {parts[0] for _, parts in sources()}
    assert names == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize(("path", "parts"), list(sources()), ids=lambda value: str(value)[-40:])
def test_imports_run_down_the_rooms(path, parts):
    own = parts[0]
    for name, inside in imports(path, parts):
        if inside and name in ORDER and name != own:
            assert ORDER.index(name) < ORDER.index(own), f"{own} imports {name}, which is above it"
        if not inside and name in LIBRARIES and own not in ("backends", "arrays") and own not in LEAVES:
            pytest.fail(f"{own} imports {name}: only backends may")


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()


def test_importing_mpimpy_imports_no_heavy_library():
    heavy = [
        "torch",
        "triton",
        "matplotlib",
        "numba",
        "scipy",
        "xarray",
        "pandas",
        "tqdm",
        "distributed",
        "multiprocessing",
    ]
    found = run(f"import sys, mpimpy; print([name for name in {heavy} if name in sys.modules])")
    assert found == "[]"


@pytest.mark.slow
def test_a_product_of_numpy_arrays_imports_no_torch():
    code = (
        "import sys, numpy as np, mpimpy; mpimpy.MapReducedot(np.eye(3), np.eye(3), seed=0);"
        "print([name for name in ('torch', 'triton', 'matplotlib') if name in sys.modules])"
    )
    assert run(code) == "[]"


def test_the_package_shows_public_names_only():
    shown = {name for name in dir(mpimpy) if not name.startswith("_")}
    assert shown == set(mpimpy.__all__)
    assert {"plot", "workloads"} <= shown
    code = "import sys, mpimpy; mpimpy.plot.scatter; print('matplotlib' in sys.modules); mpimpy.dot"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(code)
    assert caught.value.stdout == "False\n"
    advice = "has no attribute 'dot': the product is mpimpy.MapReducedot(a, b), with np.dot's rules\n"
    assert caught.value.stderr.endswith(advice)
    with pytest.raises(AttributeError, match=r"has no attribute 'Engin': did you mean 'Engine'\?$"):
        _ = mpimpy.Engin
    with pytest.raises(AttributeError, match=r"has no attribute 'zzz'$"):
        _ = mpimpy.zzz


def test_public_classes_show_no_internals():
    kept = {"programmed", "slot", "check", "check_written_with", "check_covers", "multiply_on", "prepare", "address"}
    kept |= {
        "radc_ascending",
        "wires_once",
        "wires_per_read",
        "per_slice",
        "read_checked",
        "kernels",
        "written",
        "wired",
    }
    engine = mpimpy.Engine(seed=1)
    W = engine.program([[1.0]])
    for value in (engine, W, W.T, engine.program([[1j]]), engine.config, mpimpy.Survey, mpimpy.Report):
        assert not kept & set(dir(value)), value


def test_public_names_are_documented_and_there():
    for name in mpimpy.__all__:
        member = getattr(mpimpy, name)
        assert member.__doc__, name
    for path, _ in sources():
        module = ast.parse(path.read_text())
        assert ast.get_docstring(module), path


def test_metadata():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].strip().splitlines()
    required = {line.split(">")[0] for line in lines}
    assert required == {"numpy", "scipy", "numba", "array-api-compat", "array-api-extra", "threadpoolctl"}
    # another program has the name mpimpy on the package index, and would be installed with an extra of its own
    assert setup["metadata"]["name"] == "mpimpy-crossbar"
    extras = " ".join(setup["options.extras_require"].values()).split()
    assert {name.partition("[")[0] for name in extras if name.startswith("mpimpy")} == {"mpimpy-crossbar"}
    # Pyodide has no Numba: products fall back to the reference there
    assert [line for line in lines if ";" in line] == ['numba>=0.64; sys_platform != "emscripten"']
    assert {"torch", "plot", "test", "docs", "all"} <= set(setup["options.extras_require"])
    assert setup["options.entry_points"]["console_scripts"].strip() == "mpimpy = mpimpy.cli:main"
    assert (PACKAGE / "py.typed").exists()
    assert set(tomllib.loads((ROOT / "pyproject.toml").read_text())) == {"build-system", "tool"}
    assert mpimpy.__version__ in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {mpimpy.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_files_are_one_idea():
    assert all(len(path.read_text().splitlines()) <= 440 for path, _ in sources())


def test_backends_say_what_is_there():
    found = {backend.name: backend for backend in backends.available()}
    assert set(found) == {"numba", "torch", "reference"}
    assert all(backend.detail for backend in found.values())
    assert found["numba"].available
    assert found["reference"].available
    assert "threads" in found["numba"].detail
    assert found["numba"].chosen
    strict = pytest.importorskip("array_api_strict")
    assert [b.name for b in backends.available(strict.ones(2)) if b.chosen] == ["numba"]


def test_backends_say_why_something_is_not(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    numba = next(backend for backend in backends.available() if backend.name == "numba")
    assert (numba.available, numba.detail) == (False, "Numba is not installed: pip install numba")
    torch = next(backend for backend in backends.available() if backend.name == "torch")
    assert (torch.available, torch.detail) == (False, "torch is not installed: pip install torch")


def test_the_torch_backend_names_its_versions_and_devices():
    torch = pytest.importorskip("torch")
    found = next(backend for backend in backends.available(torch.ones(2)) if backend.name == "torch")
    assert found.available
    assert not found.chosen
    assert found.detail.startswith(f"torch {torch.__version__}, ")
    assert torch.cuda.is_available() or found.detail.endswith(", no CUDA device")


def test_cached_kernels_know_what_they_inline():
    # Numba recompiles a cached kernel when its own file changes, not when an inlined helper's does
    folder = PACKAGE / "backends" / "cpu"
    inlined_in = {
        "_codes": ("_lanes",),
        "_read": ("_currents", "_lanes", "_bytes", "_registers", "_bits", "_philox", "_disturb", "_redraw", "_roots"),
        "_row_kernels": ("_currents", "_lanes", "_philox", "_disturb", "_redraw", "_roots"),
        "_ladder_numba": ("_lanes", "_eights"),
        "_packing": ("_currents",),
        "_kernels": ("_philox", "_lanes"),
    }
    for kernels, inlined in inlined_in.items():
        digest = hashlib.sha256(b"".join((folder / f"{name}.py").read_bytes() for name in inlined))
        line = f'INLINED = "{digest.hexdigest()[:16]}"'
        assert line in (folder / f"{kernels}.py").read_text(), f"put {line} into {kernels}.py"
