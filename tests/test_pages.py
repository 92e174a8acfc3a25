"""The pages of docs: code that a screen shows whole, no dead ends, and a reference of every public name."""

import importlib.util
import pathlib
import re
import types

import pytest

import mpimpy

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(((?:\.\./)?[\w/.-]+\.md)(?:#[\w-]+)?\)")
WIDTH = 88
DRAWING = "architecture.md"  # its boxes and floors are wider than that


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_wraps(page):
    blocks = [
        code for language, code in FENCE.findall(page.read_text()) if page.name != DRAWING or language == "python"
    ]
    wide = [line for code in blocks for line in code.splitlines() if len(line) > WIDTH]
    assert not wide, f"{page.name}: code in pages has at most {WIDTH} columns"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_lead_on(page):
    links = LINK.findall(page.read_text())
    assert links, f"{page.name} is a dead end: link the pages that a reader needs next"
    for link in links:
        assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_public_name(reference):
    pages = reference.contents()
    named = [name for names in pages.values() for name in names]
    modules = {path for modules in reference.MODULES.values() for path, _ in modules}
    for name in mpimpy.__all__:
        value = getattr(mpimpy, name)
        if isinstance(value, types.ModuleType):
            assert value.__name__ in modules, f"docs/reference.py has no page for the module {name}"
        else:
            assert f"mpimpy.{name}" in named
    assert {f"mpimpy.plot.{name}" for name in mpimpy.plot.__all__} == set(pages["plot"])
    assert len(named) == len(set(named))
    for page, names in pages.items():
        text = reference.page(page, names)
        assert all(re.search(rf"^\.\. auto(class|function|data):: {re.escape(name)}$", text, re.M) for name in names)


def test_the_reference_is_written_where_it_changed(reference, tmp_path):
    reference.write(tmp_path)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {path.stem for path in first} == set(reference.contents())
    (tmp_path / "gone.rst").write_text("")
    reference.write(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == first


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("plot_*.py")), ids=lambda path: path.name)
def test_examples_of_the_gallery_have_titles(path):
    # the site runs them
    code = path.read_text()
    title = re.match(r'"""\n?(.+)\n(=+)\n', code)
    assert title, f"{path.name}: the docstring begins with a title and a line of ="
    assert len(title[1]) == len(title[2])
    assert "__main__" not in code, f"{path.name}: figures are found by the names of the module"
