"""The reference: a page for each room of public names, and none left out."""

import importlib
import inspect
import pathlib
import types
from typing import Any

import mpimpy

# pages of the names in mpimpy.__all__: file, title, rooms where they live
PAGES = {
    "products": (
        "Products",
        (
            "_dot",
            "_load",
            "_operator",
            "_complex",
            "_partial",
            "_warm",
            "backends",
            "engine",
            "matrix",
            "operands",
        ),
    ),
    "settings": ("Settings", ("config",)),
    "results": ("Results", ("analysis",)),
    "devices": ("Devices", ("devices",)),
    "sweeps": ("Sweeps", ("sweeps",)),
    "designs": ("Designs", ("designs",)),
    "explorer": ("Explorer", ("explorer",)),
    "predecessors": ("Names of the predecessors", ("compat",)),
}
OTHERS = "products"  # the page of a new room

# public names of modules: the module, and its names, or None for its __all__
MODULES: dict[str, tuple[tuple[str, tuple[str, ...] | None], ...]] = {
    "settings": (("mpimpy.config", ("to_dict", "from_dict")),),
    "results": (("mpimpy.analysis.law", ("Scaled",)),),
    "devices": (
        ("mpimpy.devices.presets", ("Listing", "Preset", "device", "listing")),
    ),
    "cost": (("mpimpy.cost", None),),
    "designs": (
        (
            "mpimpy.designs",
            ("COSTS", "Design", "DesignResult", "SearchResult", "Trial", "looks_at"),
        ),
    ),
    "backends": (
        ("mpimpy.backends", ("Backend", "Explanation", "available", "explain")),
    ),
    "cluster": (
        ("mpimpy.cluster", ("ClusterMatrix", "WorkerPlugin", "compute", "prepare")),
    ),
    "machines": (("mpimpy.machines", ("Listing", "Machine", "listing", "settings")),),
    "nn": (("mpimpy.nn", None),),
    "noise": (("mpimpy.noise", ("derive",)),),
    "plot": (("mpimpy.plot", None),),
    "wires": (("mpimpy.wires", None),),
    "workloads": (("mpimpy.workloads", None),),
    "solve": (("mpimpy.solve", None),),
    "studies": (("mpimpy.studies", None),),
    "explorer": (("mpimpy.explorer", ("serve",)),),
}

HIDDEN = "   :exclude-members: programmed"  # the value inside a matrix, for other rooms
STRANGERS = (
    "Module",
    "Exception",
    "WorkerPlugin",
    "tuple",
    "dict",
)  # bases whose members are not shown


def room(value: Any) -> str:
    """Return the room of a public name, such as "config"; empty for a number."""
    return (getattr(value, "__module__", None) or "mpimpy.").split(".")[1]


def contents() -> dict[str, list[str]]:
    """Return the dotted public names of each page."""
    found: dict[str, list[str]] = {name: [] for name in PAGES}
    for name in mpimpy.__all__:
        value = getattr(mpimpy, name)
        if not isinstance(value, types.ModuleType):
            page = next(
                (page for page, (_, rooms) in PAGES.items() if room(value) in rooms),
                OTHERS,
            )
            found["settings" if isinstance(value, int) else page].append(
                f"mpimpy.{name}"
            )
    for page, modules in MODULES.items():
        for path, names in modules:
            module = _module(path)
            if module is not None:
                shown = module.__all__ if names is None else names
                found.setdefault(page, []).extend(f"{path}.{name}" for name in shown)
    return {page: names for page, names in found.items() if names}


def _module(path: str) -> Any:
    # None for a room that is not there, or whose library is not installed
    try:
        return importlib.import_module(path)
    except ImportError:
        return None


def find(name: str) -> Any:
    """Return what a dotted public name holds."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def page(name: str, names: list[str]) -> str:
    """Return the text of a page, in reStructuredText."""
    title = PAGES[name][0] if name in PAGES else f"mpimpy.{name}"
    lines = [title, "=" * len(title), ""]
    module = name not in PAGES
    if module:
        lines += [f".. automodule:: {MODULES[name][0][0]}", "   :no-members:", ""]
    # layers of torch have dozens of members of its own
    inherited = (
        [] if name == "nn" else [f"   :inherited-members: {', '.join(STRANGERS)}"]
    )
    if name == "workloads":
        inherited.append("   :special-members: __call__")
    short = [each.rpartition(".")[2] if module else f"~{each}" for each in names]
    lines += [
        ".. autosummary::",
        "   :nosignatures:",
        "",
        *(f"   {each}" for each in short),
        "",
    ]
    for each in names:
        value = find(each)
        if inspect.isclass(value):
            lines += [f".. autoclass:: {each}", "   :members:", *inherited, HIDDEN]
        elif callable(value):
            lines += [f".. autofunction:: {each}"]
        else:
            lines += [f".. autodata:: {each}"]
        lines.append("")
    return "\n".join(lines)


def write(folder: pathlib.Path) -> None:
    """Write the pages, and leave those alone that have not changed."""
    folder.mkdir(exist_ok=True)
    wanted = {f"{name}.rst": page(name, names) for name, names in contents().items()}
    for path in folder.glob("*.rst"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def check(app: Any, env: Any) -> None:
    """Warn of public names that no page describes."""
    from sphinx.util import logging

    known = set(env.domaindata["py"]["objects"])
    for names in contents().values():
        for name in names:
            if name not in known:
                logging.getLogger(__name__).warning("no page describes %s", name)
