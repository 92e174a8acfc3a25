"""Names of a package whose modules are imported when they are asked for."""

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["later"]


def later(
    package: str, names: Mapping[str, str], known: dict[str, Any], instead: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Parameters
    ----------
    package : str
        Its name.
    names : mapping
        Modules of the package by the names that they hold; a module of the same name is meant itself.
    known : dict
        The package's ``globals()``, which keep what was found.
    instead : mapping, optional
        Advice for names that the package does not have, and that users expect.
    """

    def found(name: str) -> Any:
        if name not in names:
            msg, near = f"module {package!r} has no attribute {name!r}", []
            if not name.startswith("_"):
                near = difflib.get_close_matches(name, known.get("__all__", ()), 1, 0.75)
            advice = (instead or {}).get(name, f"did you mean {near[0]!r}?" if near else "")
            raise AttributeError(f"{msg}: {advice}" if advice else msg)
        module = import_module(f".{names[name]}", package)
        known[name] = module if name == names[name] else getattr(module, name)
        return known[name]

    return found
