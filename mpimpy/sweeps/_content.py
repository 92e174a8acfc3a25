"""Code and data of a workload as one digest, by which its results are told from those of another."""

import copyreg
import functools
import hashlib
import os
import pickle
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ._source import framed, named, told

__all__ = ["Content", "OpaqueError"]

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))
_BY_NAME = (
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
_STATES = ("__reduce__", "__reduce_ex__", "__getstate__")


class OpaqueError(Exception):
    """A part of a workload cannot be told from others: its path, and its type."""


def _place_of(path: str) -> str:
    return os.path.join(os.path.realpath(path), "")


_LIBRARY = tuple(_place_of(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _is_library(module: str, file: str | None) -> bool:
    # code that is known by its name: of Python, of installed packages, and of mpimpy
    if module.partition(".")[0] in ("builtins", "mpimpy"):
        return True
    name = module
    while file is None and name:  # modules that are compiled may have no file, and their package has
        file = getattr(sys.modules.get(name), "__file__", None)
        name = name.rpartition(".")[0]
    if file is None:
        return module.partition(".")[0] in sys.stdlib_module_names
    file = os.path.realpath(file)
    return file.startswith(_LIBRARY) or bool({"site-packages", "dist-packages"} & set(file.split(os.sep)))


class Content:
    """Digest of values, code and data, the same in each process.

    Parameters
    ----------
    own : str
        Name of the workload's module. Its package is looked into even if it is installed.

    Raises
    ------
    OpaqueError
        From `add`, for what cannot be told from others.
    """

    def __init__(self, own: str) -> None:
        self._own = own.partition(".")[0]
        self._digest = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # ids of things that are gone are given to others
        self._path: list[str] = []

    def digest(self) -> bytes:
        """Return the SHA-256 of all that was added."""
        return self._digest.digest()

    def add(self, value: Any, name: str = "") -> None:
        """Add a value, which has a name in messages."""
        if name:
            self._path.append(name)
        if type(value) in _ATOMS:
            self._put(type(value).__name__, repr(value))
        elif type(value) is tuple:
            self._put("tuple", str(len(value)))
            self._items(value)
        elif id(value) in self._seen:
            self._put("again", str(self._seen[id(value)]))
        else:
            self._seen[id(value)] = len(self._seen)
            self._kept.append(value)
            self._compound(value)
        if name:
            self._path.pop()

    def named(self, values: Mapping[str, Any]) -> None:
        """Add values by name."""
        self._put("named", str(len(values)))
        for name, value in values.items():
            self._put("name", name)
            self.add(value, name)

    def _put(self, *parts: str | bytes) -> None:
        self._digest.update(framed(part.encode() if isinstance(part, str) else part for part in parts))

    def _items(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    def _compound(self, value: Any) -> None:
        for kind, add in _KINDS.items():
            if isinstance(value, kind):
                return add(self, value)
        if type(value) in (list, set, frozenset, dict, types.MappingProxyType):
            return self._container(value)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor) and value.layout is torch.strided:
            return self._tensor(value)
        return self._object(value)

    def _container(self, value: Any) -> None:
        self._put(type(value).__name__, str(len(value)))
        if isinstance(value, list):
            self._items(value)
        elif isinstance(value, set | frozenset):  # in another order in each process
            self._put(*sorted(self._alone(item) for item in value))
        else:
            for key, item in value.items():
                self.add(key)
                self.add(item, f"[{key!r}]")

    def _alone(self, value: Any) -> bytes:
        other = Content(self._own)
        other._seen, other._path = dict(self._seen), list(self._path)
        other.add(value)
        self._kept.append(other)
        return other.digest()

    # -- code ----------------------------------------------------------------------------------

    def _is_known(self, module: str, file: str | None = None) -> bool:
        known = _is_library(module, file)
        return known and (module.partition(".")[0] != self._own or self._own in ("builtins", "mpimpy"))

    def _function(self, function: types.FunctionType) -> None:
        # by its own globals: a decorator may have given it the module of another
        scope, code = function.__globals__, function.__code__
        module = str(scope.get("__name__"))
        known = self._is_known(module, scope.get("__file__"))
        self._put("function", f"{module}.{code.co_qualname}" if known else "")
        if not known or "<" in code.co_qualname:
            self._put(told(code))
        for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self._put("variable", variable)
            self.add(cell, variable)
        self.named({f"default {index}": value for index, value in enumerate(function.__defaults__ or ())})
        self.named(function.__kwdefaults__ or {})
        if known:
            return
        self.named(vars(function))
        for name, *attributes in named(code):
            if name in scope and not _is_special(name):
                self._global(name, scope[name], attributes)

    def _global(self, name: str, value: Any, attributes: list[str]) -> None:
        # attributes of modules are followed to what they are
        for attribute in attributes:
            if not isinstance(value, types.ModuleType) or attribute not in vars(value):
                break
            if self._is_known(value.__name__):
                break
            name, value = f"{name}.{attribute}", vars(value)[attribute]
        self._put("global", name)
        self.add(value, name)

    def _cell(self, cell: types.CellType) -> None:
        try:
            value = cell.cell_contents
        except ValueError:
            self._put("not bound")
        else:
            self.add(value)

    def _class(self, what: type) -> None:
        self._put("class", what.__qualname__)
        if self._is_known(_module_of(what)):
            self._put("of", _module_of(what))
            return
        self.add(type(what))
        self._items(what.__bases__)
        fields = vars(what).get("__dataclass_fields__")
        if fields is not None:
            for name, field in fields.items():
                self._put("field", name, str((field.init, field.kw_only)))
                self.named({"default": field.default, "default_factory": field.default_factory})
        for name, value in vars(what).items():
            if name != "_abc_impl" and not _is_made(value, dataclass=fields is not None):
                code = isinstance(value, types.FunctionType | classmethod | staticmethod | property)
                if code or not _is_special(name):
                    self._put("attribute", name)
                    self.add(value, f"{what.__name__}.{name}")

    def _module(self, module: types.ModuleType) -> None:
        self._put("module", module.__name__)

    def _code(self, code: types.CodeType) -> None:
        self._put("code", told(code))

    def _builtin(self, function: types.BuiltinFunctionType) -> None:
        self._put("builtin", str(function.__module__), function.__qualname__)
        if not isinstance(function.__self__, types.ModuleType | type(None)):
            self.add(function.__self__, "self")

    def _method(self, method: types.MethodType) -> None:
        self._put("method")
        self.add(method.__func__)
        self.add(method.__self__, "self")

    def _partial(self, partial: "functools.partial[Any]") -> None:
        self._put("partial")
        self.add(partial.func)
        self.named({f"argument {index}": value for index, value in enumerate(partial.args)})
        self.named(partial.keywords)
        self.named(vars(partial))
        self.add(type(partial))

    def _wrapped(self, method: "staticmethod[..., Any] | classmethod[Any, ..., Any]") -> None:
        self._put(type(method).__name__)
        self.add(method.__func__)

    def _cached(self, value: "functools.cached_property[Any]") -> None:
        self._put("cached property")
        self.add(value.func)

    def _property(self, value: property) -> None:
        self._put("property")
        self._items((value.fget, value.fset, value.fdel))

    def _descriptor(self, value: Any) -> None:
        self._put("descriptor", value.__qualname__)

    # -- data ----------------------------------------------------------------------------------

    def _array(self, array: "np.ndarray[Any, Any]") -> None:
        if type(array) is not np.ndarray:
            self.add(type(array))
        if type(array).__reduce__ is not np.ndarray.__reduce__:
            self._object(array)  # with a mask
            return
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        self._put("array", repr(array.dtype), str(array.shape), order)
        plain = np.asarray(array)
        if plain.dtype.hasobject:
            self.add(plain.tolist())
        else:
            self._put(plain.tobytes())
        self.named(getattr(array, "__dict__", {}))

    def _tensor(self, tensor: Any) -> None:
        # the pickle of a tensor holds an address in memory
        import torch

        self.add(type(tensor))
        self._put(
            "tensor", str(tensor.dtype), str(tuple(tensor.shape)), str(tensor.stride()), str(tensor.requires_grad)
        )
        plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        self._put(plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
        self.named(vars(tensor))

    def _object(self, value: Any) -> None:
        kind = type(value)
        self.add(kind)
        identity = _definer(kind, "sweep_identity")
        if identity is not None:
            self._put("identity", str(value.sweep_identity()))
            if identity is not kind:  # a class that adds to it, in ways that it does not know
                self.named(getattr(value, "__dict__", {}))
            return
        if self._is_known(
            _module_of(kind)
        ):  # a function that is compiled or cached, whose pickle may be its name alone
            for inner, more in (("py_func", "targetoptions"), ("__wrapped__", "__dict__")):
                if isinstance(getattr(value, inner, None), types.FunctionType):
                    self.add(getattr(value, inner))
                    self.named(dict(getattr(value, more, {})))
                    return
        self._reduced(value)
        own = [base for base in kind.__mro__ if not self._is_known(_module_of(base))]
        if not any(name in vars(base) for base in own for name in _STATES):
            # a library's class may leave out what a class of the user has added
            slots = {name for base in own for name in copyreg._slotnames(base)}  # type: ignore[attr-defined]
            self.named({name: getattr(value, name) for name in sorted(slots) if hasattr(value, name)})
            self.named(getattr(value, "__dict__", {}) if own else {})

    def _reduced(self, value: Any) -> None:
        # as for a pickle, but each part by what it is
        try:
            reduce: Any = copyreg.dispatch_table.get(type(value))
            found: Any = value.__reduce_ex__(4) if reduce is None else reduce(value)
            if isinstance(found, str):
                found = pickle.dumps(value, 4)  # its name, which is looked up
        except Exception as error:  # any object may refuse
            path = ".".join(self._path).replace(".[", "[") or "itself"
            msg = f"{path} (a {type(value).__name__})"
            raise OpaqueError(msg) from error
        if isinstance(found, bytes):
            self._put("by name", found)
            return
        function, args, state, items, pairs = [*found, None, None, None][:5]
        self._put("reduced")
        self.add(function)
        self._items(args)
        if isinstance(state, dict) and all(isinstance(key, str) for key in state):
            self.named(state)
        else:
            self.add(state)
        for more in (items, pairs):
            self.add(None if more is None else list(more))


def _module_of(kind: type) -> str:
    if kind.__module__ == "types" and not hasattr(types, kind.__name__):
        return ""  # made by a call, of make_dataclass or new_class
    # a compiled class may have a descriptor in the place of the name
    return kind.__module__ if isinstance(kind.__module__, str) else repr(kind).split("'")[1].rpartition(".")[0]


def _definer(kind: type, name: str) -> type | None:
    return next((base for base in kind.__mro__ if name in vars(base)), None)


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_made(value: Any, *, dataclass: bool) -> bool:
    # methods that are made from the fields of a dataclass or a named tuple, which are seen
    function = getattr(value, "__wrapped__", value)
    if not isinstance(function, types.FunctionType):
        return False
    if str(function.__globals__.get("__name__")).startswith("namedtuple_"):
        return True
    return dataclass and _is_special(function.__name__) and function.__code__.co_filename == "<string>"


_KINDS: dict[Any, Callable[[Content, Any], None]] = {
    types.FunctionType: Content._function,
    types.MethodType: Content._method,
    types.BuiltinFunctionType: Content._builtin,
    functools.partial: Content._partial,
    type: Content._class,
    types.ModuleType: Content._module,
    types.CodeType: Content._code,
    types.CellType: Content._cell,
    staticmethod: Content._wrapped,
    classmethod: Content._wrapped,
    property: Content._property,
    functools.cached_property: Content._cached,
    _BY_NAME: Content._descriptor,
    np.ndarray: Content._array,
}
