"""Text of a function that tells what it computes: its source where that is sure, else its bytecode."""

import ast
import functools
import linecache
import types
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

__all__ = ["framed", "named", "told"]


def framed(parts: Iterable[bytes]) -> bytes:
    """Return parts as one text, each with its length, so that no two lists of parts are the same text."""
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def told(code: types.CodeType) -> bytes:
    """Return the source of a function's code or, where the source does not tell it, its bytecode.

    The source is that of the function alone, without decorators. It tells the code if the file as it is now has one
    function of that name in that line, and compiles to the code that runs. So it does not for two lambdas in one line,
    for code that was typed in, or for a file that was edited since it was imported. Bytecode holds no comments, and no
    names and lines of files, but is another in each version of Python.
    """
    text = _source(code)
    return b"bytecode " + _bytecode(code) if text is None else b"source " + text.encode()


def named(code: types.CodeType) -> list[tuple[str, ...]]:
    """Return the globals that a code names, each with the attributes that follow: ``helpers.f`` is (helpers, f)."""
    import dis

    found: list[tuple[str, ...]] = []
    for one in _codes(code):
        after = False  # a global or its attribute
        for step in dis.get_instructions(one):
            if step.opname == "LOAD_NAME" or (step.opname.startswith("LOAD") and "GLOBAL" in step.opname):
                found.append((step.argval,))
                after = True
            elif after and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                found[-1] += (step.argval,)
            else:
                after = False
    return sorted(set(found))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _bytecode(code: types.CodeType) -> bytes:
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    constants = framed(map(_constant, code.co_consts))
    return framed([code.co_code, repr((names, counts)).encode(), code.co_exceptiontable, constants])


def _constant(value: Any) -> bytes:
    if isinstance(value, types.CodeType):
        return _bytecode(value)
    kind = type(value).__name__.encode()
    if isinstance(value, tuple):
        return framed([kind, *map(_constant, value)])
    if isinstance(value, frozenset):  # in another order in each process
        return framed([kind, *sorted(map(_constant, value))])
    return framed([kind, repr(value).encode()])


class _File(NamedTuple):
    text: str
    nodes: dict[tuple[int, str], list[ast.AST]]
    codes: dict[tuple[int, str], list[types.CodeType]]


@functools.lru_cache(64)
def _parsed(text: str) -> _File | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they were given at the import
        try:
            tree, module = ast.parse(text), compile(text, "<source>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    found = _File(text, {}, {})
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            found.nodes.setdefault((first, node.name), []).append(node)
        elif isinstance(node, ast.Lambda):
            found.nodes.setdefault((node.lineno, "<lambda>"), []).append(node)
    for code in _codes(module):
        found.codes.setdefault((code.co_firstlineno, code.co_name), []).append(code)
    return found


def _source(code: types.CodeType) -> str | None:
    linecache.checkcache(code.co_filename)
    file = _parsed("".join(linecache.getlines(code.co_filename)))
    if file is None:
        return None
    place = code.co_firstlineno, code.co_name
    nodes, codes = file.nodes.get(place, []), file.codes.get(place, [])
    if len(nodes) != 1 or len(codes) != 1 or _bytecode(codes[0]) != _bytecode(code):
        return None
    return ast.get_source_segment(file.text, nodes[0])
