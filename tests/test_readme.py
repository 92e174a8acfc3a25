"""The code of the README and of docs runs, its tables state what is so, and its commands are the ones that CI runs."""

import importlib.util
import pathlib
import re
import shlex

import numpy as np
import pytest
from libraries import torch

from mpimpy import cli
from mpimpy.config import _flat as flat

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
FENCE = re.compile(r"(?:<!-- command: (\w+) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = [match.groups() for match in FENCE.finditer(TEXT)]
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("code", [code for _, language, code in BLOCKS if language == "python"])
def test_python_blocks_run(code, capsys):
    if "import torch" in code and torch is None:
        pytest.skip("the torch extra is not installed")
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_run_from_top_to_bottom(page, tmp_path, monkeypatch, capsys):
    # a later block may use a file that an earlier one wrote, nothing else
    if page.name == "clusters.md":
        pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    for match in FENCE.finditer(page.read_text()):
        code = match[3]
        if match[2] == "python" and not ("Matplotlib" in code and importlib.util.find_spec("matplotlib") is None):
            exec(compile(code, page.name, "exec"), {})


def test_shell_blocks_run(tmp_path, monkeypatch, capsys, rng):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mpimpy.demo.SIZE", 70)
    np.save("inputs.npy", rng.standard_normal((5, 70)))
    np.savetxt("weights.csv", rng.standard_normal((70, 4)), delimiter=",")
    lines = [line for mark, language, code in BLOCKS if language == "bash" and not mark for line in code.splitlines()]
    (tmp_path / "sweep.toml").write_text(
        "workload = 'product'\n[parameters]\nx = 'inputs.npy'\nw = 'weights.csv'\n[space]\nradc = [64, 256]\n"
    )
    (tmp_path / "design.toml").write_text(
        "x = {shape = [8, 32], seed = 0}\nw = {shape = [32, 8], seed = 1}\ncost = 'cells'\n"
        "[settings]\nvar = 0.01\nw_mapping = 'pair'\n[space]\nradc = [1024, 4096]\n"
    )
    assert len(lines) == 9
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == ".venv/bin/mpimpy"  # nothing is activated
        assert cli.main(arguments) == 0, line
    assert np.load("product.npy").shape == (5, 4)


def test_the_printed_budget_is_the_real_one(capsys):
    code = next(code for _, language, code in BLOCKS if language == "python" and "explain" in code)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out.strip()
    assert printed == next(code for _, language, code in BLOCKS if language == "text").strip()


def test_the_settings_table_is_the_codes_own():
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \| (.*?) \| (.+) \|$", TEXT, re.MULTILINE)
    table = {name: (default, unit, meaning) for name, default, unit, meaning in rows}
    assert table == flat.SETTINGS | flat.ENGINE


def test_set_up_is_two_single_lines_that_ci_runs():
    marked = {mark: code.strip() for mark, language, code in BLOCKS if mark}
    assert set(marked) == {"demo", "tests"}
    assert all("\n" not in command for command in marked.values())
    script = (ROOT / ".ci" / "run").read_text()
    for mark in marked:
        assert f'readme_command "command: {mark}"' in script


def test_pages_name_files_that_are_there():
    for page in (*ROOT.glob("*.md"), *PAGES):
        for path in re.findall(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|yml|cfg|toml|cff))`", page.read_text()):
            if "/" in path:
                assert (ROOT / path).exists() or (ROOT / "mpimpy" / path).exists(), f"{page.name}: {path}"


def test_pictures_are_there():
    for path in re.findall(r"!\[.*?\]\((.+?)\)", TEXT):
        assert (ROOT / path).stat().st_size > 10_000
