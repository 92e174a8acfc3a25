"""The pages of docs: code that a screen shows whole."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
WIDTH = 88
DRAWING = "architecture.md"  # its boxes and floors are wider than that


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_wraps(page):
    blocks = [
        code for language, code in FENCE.findall(page.read_text()) if page.name != DRAWING or language == "python"
    ]
    wide = [line for code in blocks for line in code.splitlines() if len(line) > WIDTH]
    assert not wide, f"{page.name}: code in pages has at most {WIDTH} columns"
