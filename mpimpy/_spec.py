"""Files of settings, TOML and JSON: values, and the line of each of them for messages."""

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from .checks import check_names, fail

__all__ = ["Spec", "ending_of", "read", "read_json", "read_settings"]

Key = tuple[str, ...]


@dataclass(frozen=True)
class Spec:
    r"""Values of a file, with their lines.

    Attributes
    ----------
    path : str
        Of the file.
    values : dict
        As `tomllib` or `json` reads them. TOML has no None: `table` turns the text "none" into it.
    lines : dict
        Line of each key, a tuple of names such as ``("settings", "radc")``; the first line is 1.

    Examples
    --------
    >>> spec = Spec("sweep.toml", *parse("[settings]\nradc = 64\n"))
    >>> spec.table("settings"), spec.where("settings", "radc")
    ({'radc': 64}, 'sweep.toml, line 2: settings.radc')
    """

    path: str
    values: dict[str, Any]
    lines: dict[Key, int]

    def where(self, *key: str) -> str:
        """Return the place of a key for a message; if it is not there, that of the nearest table around it."""
        line = next((self.lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in self.lines), None)
        place = self.path if line is None else f"{self.path}, line {line}"
        return f"{place}: {'.'.join(key)}" if key else place

    def fail(self, kind: type[Exception], message: str, *key: str) -> NoReturn:
        """Raise `message` with the place of a key before it."""
        fail(kind, f"{self.where(*key)}: {message}")

    @contextlib.contextmanager
    def at(self, *key: str) -> Iterator[None]:
        """Put the place of a key before the message of a TypeError or ValueError that is raised within."""
        try:
            yield
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            text = str(error)
            # the key itself stands in the place
            text = text.removeprefix(f"{key[-1]}: ") if key else text
            msg = f"{self.where(*key)}: {text}"
            raise kind(msg) from error

    def table(self, *key: str, known: Iterable[str] | None = None, what: str = "key") -> dict[str, Any]:
        """Return the table of a key, an empty one if it is not there; the text "none" in it becomes None.

        Parameters
        ----------
        *key : str
            Without any, the whole file.
        known : iterable of str, optional
            Names that may stand in it.
        what : str
            Word for such a name, in messages.

        Raises
        ------
        TypeError
            If it is no table, or holds an unknown name: the message has its line, and the nearest known name.
        """
        found: Any = self.values
        for name in key:
            found = found.get(name, {})
            if not isinstance(found, dict):
                self.fail(TypeError, f"{found!r} must be a table of settings, such as [{'.'.join(key)}]", *key)
        if known is not None:
            known = tuple(known)
            for name in found:
                with self.at(*key, name):
                    check_names([name], known, what)
        return {name: _none(value) for name, value in found.items()}


def _none(value: Any) -> Any:
    if isinstance(value, list):
        return [_none(item) for item in value]
    if isinstance(value, dict):
        return {name: _none(item) for name, item in value.items()}
    return None if value == "none" else value


def parse(text: str) -> tuple[dict[str, Any], dict[Key, int]]:
    """Return the values of a text in TOML, and the line of each key.

    Raises
    ------
    tomllib.TOMLDecodeError
        If it is no TOML.
    """
    values = tomllib.loads(text)
    lines: dict[Key, int] = {}
    table: Key = ()
    statement, start = "", 1
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        statement += line
        try:
            # The whole text is right, so the shortest run of lines that is right alone is one statement: a value
            # over several lines is wrong until its last one.
            found = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        header = statement.lstrip().startswith("[")
        keys = list(_keys(found))
        if header and keys:
            table = keys[-1]
        for key in keys:
            lines.setdefault(key if header else table + key, start)
        statement, start = "", number + 1
    return values, lines


def _keys(values: dict[str, Any]) -> Iterator[Key]:
    # every key of nested tables, the outer ones first; of a list of tables, those of its items
    for name, value in values.items():
        yield (name,)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                for rest in _keys(item):
                    yield (name, *rest)


def read(path: str | os.PathLike[str]) -> Spec:
    """Return the values of a TOML file, with their lines.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no TOML, or not in UTF-8. The message names the line.
    """
    name, text = _text_of(path)
    try:
        return Spec(name, *parse(text))
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|(end of document))\)", str(error), re.DOTALL)
        if not found:
            fail(ValueError, f"{name}: {error}")
        line = int(found[2]) if found[2] else max(1, len(text.splitlines()))
        fail(ValueError, f"{name}, line {line}: {found[1]}")


def _text_of(path: str | os.PathLike[str]) -> tuple[str, str]:
    # name and text of a file
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            text = file.read().decode()
    except OSError as error:
        msg = f"{name}: cannot be read: {error.strerror or error}"
        raise OSError(msg) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        msg = f"{name}, line {line}: must be text in UTF-8"
        raise ValueError(msg) from None
    return name, text.removeprefix("\ufeff").replace("\r\n", "\n")


def read_json(path: str | os.PathLike[str]) -> Spec:
    """Return the values of a JSON file that holds an object, with their lines.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no JSON, holds no object, gives a key twice, or is not in UTF-8. The message names the line.
    """
    name, text = _text_of(path)
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        fail(ValueError, f"{name}, line {error.lineno}: {error.msg}")
    except RecursionError:
        fail(ValueError, f"{name}: it is nested too deeply")
    if not isinstance(values, dict):
        fail(ValueError, f'{name}, line 1: it must hold an object of settings, such as {{"device": {{}}}}')
    lines, twice = _json_lines(text)
    if twice is not None:
        fail(ValueError, f"{name}, line {twice[1]}: {'.'.join(twice[0])} is given twice")
    return Spec(name, values, lines)


def _json_lines(text: str) -> tuple[dict[Key, int], tuple[Key, int] | None]:
    # line of each key of nested objects, and the first key that is given again
    lines: dict[Key, int] = {}
    stack: list[str | None] = []  # the key that each open object or list stands at; None: in a list
    twice, last, key = None, "", ""
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', text):
        mark = token[0]
        if mark in "{[":
            stack.append(key if last == ":" else None)
        elif mark in "}]":
            stack.pop()
        elif mark == ":":
            outer = stack[1:]
            if None not in outer:  # objects in lists have no dotted key
                place = (*(name for name in outer if name is not None), key)
                line = text.count("\n", 0, token.start()) + 1
                if place in lines and twice is None:
                    twice = place, line
                lines.setdefault(place, line)
        else:
            key = key if mark == "," else json.loads(mark)
        last = mark
    return lines, twice


def read_settings(path: str | os.PathLike[str]) -> Spec:
    """Return the values of a TOML or JSON file, with their lines; the ending of its name tells which it is.

    Raises
    ------
    OSError, ValueError
        As `read` and `read_json`; also if the name ends otherwise.
    TypeError
        If `path` is no path.
    """
    return read(path) if ending_of(path) == ".toml" else read_json(path)


def ending_of(path: str | os.PathLike[str]) -> str:
    """Return ".toml" or ".json", the ending of the path of a file of settings.

    Raises
    ------
    ValueError, TypeError
        If it ends otherwise, or is no path.
    """
    if not isinstance(path, str | os.PathLike):
        fail(TypeError, f"path={path!r} must be the path of a file, such as 'machine.toml'")
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in (".toml", ".json"):
        fail(ValueError, f"{os.fspath(path)}: a file of settings has a name that ends in .toml or .json")
    return ending
