"""Names of a package whose modules are imported when they are asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["later"]


def later(package: str, names: Mapping[str, str], known: dict[str, Any]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    Parameters
    ----------
    package : str
        Its name.
    names : mapping
        Modules of the package by the names that they hold; a module of the same name is meant itself.
    known : dict
        The package's ``globals()``, which keep what was found.
    """

    def found(name: str) -> Any:
        if name not in names:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        module = import_module(f".{names[name]}", package)
        known[name] = module if name == names[name] else getattr(module, name)
        return known[name]

    return found
