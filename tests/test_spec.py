"""TOML files of the command line: lines of keys, and messages that name them."""

import re

import pytest

from mpimpy import _spec

TEXT = '''# a comment
workload = "product"
name = """
[not.a.table]
radc = 1
"""

[settings]
var = 0.0  # [space]
"rdac" = 32
[space]
radc = [
    64,
    "none",
]
x_slices = [[1, 1], [1, 2]]
device = {write_var = 0.1}
a.b = 1
[product.inputs]
shape = [4, 64]
[[list]]
one = 1
'''


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(TEXT)
    return _spec.read(path)


def test_every_key_has_its_line(spec):
    lines = {".".join(key): line for key, line in spec.lines.items()}
    rows = TEXT.splitlines()
    assert lines == {
        "workload": 2,
        "name": 3,
        "settings": 8,
        "settings.var": 9,
        "settings.rdac": 10,
        "space": 11,
        "space.radc": 12,
        "space.x_slices": 16,
        "space.device": 17,
        "space.device.write_var": 17,
        "space.a": 18,
        "space.a.b": 18,
        "product": 19,
        "product.inputs": 19,
        "product.inputs.shape": 20,
        "list": 21,
        "list.one": 22,
    }
    assert rows[11] == "radc = ["


def test_none_is_a_text(spec):
    assert spec.table("space")["radc"] == [64, None]
    assert spec.table("nothing") == {}
    assert spec.table()["settings"] == {"var": 0.0, "rdac": 32}


def test_messages_name_the_line(spec):
    with pytest.raises(TypeError, match=r"sweep.toml, line 9: settings.var: unknown key 'var': did you mean 'vari'\?"):
        spec.table("settings", known=["vari", "rdac"])
    with pytest.raises(TypeError, match=r"line 2: workload: 'product' must be a table of settings, such as \[workload"):
        spec.table("workload")
    with pytest.raises(ValueError, match=r"sweep.toml, line 10: settings.rdac: 3 is odd$"), spec.at("settings", "rdac"):
        raise ValueError("rdac: 3 is odd")
    with pytest.raises(ValueError, match=r"sweep.toml, line 8: settings.seed: missing$"):
        spec.fail(ValueError, "missing", "settings", "seed")
    with pytest.raises(ValueError, match=r"sweep.toml: missing$"):
        spec.fail(ValueError, "missing")
    with pytest.raises(ValueError, match=r"sweep.toml: space2: missing$"):
        spec.fail(ValueError, "missing", "space2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a = 1\nb = = 2\n", "line 2: Invalid value"),
        (b"a = 1\na = 2\n", "line 2: Cannot overwrite a value"),
        (b"a = 1\n\nb = [1,\n", "line 3: Invalid value"),
        (b"a = 1\n# \xff\n", "line 2: must be text in UTF-8"),
        (b'a = """\n\n', "line 2: Unterminated string"),
    ],
)
def test_what_is_no_toml_names_the_line(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=re.escape(f"{path}, {message}")):
        _spec.read(path)


def test_windows_text(tmp_path):
    path = tmp_path / "w.toml"
    path.write_bytes(b"\xef\xbb\xbf[a]\r\nb = 1\r\n")
    assert _spec.read(path).lines == {("a",): 1, ("a", "b"): 2}


def test_a_missing_file(tmp_path):
    with pytest.raises(OSError, match=r"none\.toml: cannot be read: No such file"):
        _spec.read(tmp_path / "none.toml")
