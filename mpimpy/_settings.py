"""Engines as plain values, as files of settings, and by the name of a published machine."""

import dataclasses
import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from . import _spec, machines
from ._spec import Spec
from ._survey import SurveyingEngine
from .checks import as_bool, as_int_pair, check_names, fail
from .config import Config
from .config._changes import HOMES
from .config._hints import hinted_call
from .config._plain import from_plain as part_from_plain
from .config._plain import guilty_key, implied, to_dict
from .config._text import as_json, as_toml
from .files.whole import write_whole

__all__ = ["SettingsEngine"]

_PARTS = tuple(part.name for part in dataclasses.fields(Config))
_OWN = ("seed", "chip", "backend", "gradient", "input_size", "operand_device", "sliced")


class SettingsEngine(SurveyingEngine):
    """Engine that is data: a dict, a TOML or JSON file, or a name."""

    backend: str | None
    gradient: str
    _operand_device: Any

    @abstractmethod
    def _setup(
        self,
        config: Config,
        *,
        seed: int | None,
        chip: int,
        backend: str | None,
        gradient: str = "straight",
        parts: Iterable[str] = ("inputs", "weights"),
    ) -> None:
        """Make an engine of a configuration."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings of the engine as plain values that JSON can hold.

        Returns
        -------
        dict
            ``arithmetic`` (the version of the arithmetic), ``seed``, ``chip``, ``backend``, ``gradient``,
            ``input_size`` and ``operand_device`` (the device that operands must be on), then the parts of the
            configuration, a dict each; measured and published devices with all their numbers. ``sliced`` is True,
            and there, where the formats do not fit the machine, which takes those of `SlicedData` then.
            Counted reads are no settings: an engine that is made of these counts from 0.

        See Also
        --------
        from_dict : The way back, which is exact.
        save_settings : The same as a file.

        Examples
        --------
        >>> from mpimpy import Engine
        >>> described = Engine(seed=7).to_dict()
        >>> described["seed"], described["dac"]["rdac"]
        (7, 16)
        """
        config = to_dict(self.config)
        device = None if self._operand_device is None else str(self._operand_device)
        own = {name: getattr(self, name) for name in ("seed", "chip", "backend", "gradient")}
        own["input_size"] = None if self.input_size is None else list(self.input_size)
        own["operand_device"] = device
        try:
            self.config._check("inputs", "weights")
        except ValueError:
            own["sliced"] = True
        head = {"kind": "Engine", "arithmetic": config["arithmetic"]}
        return head | own | {name: config[name] for name in _PARTS}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """Return the engine that plain values describe.

        Parameters
        ----------
        mapping : mapping
            As `to_dict` gives it; that of `Config.to_dict` will do. What is left out has its default: without
            ``seed`` the engine takes a fresh one. The text ``"none"`` stands for None. Lists may be tuples.

        Raises
        ------
        TypeError, ValueError
            If an entry is unknown, out of range, or of an arithmetic whose bits cannot be had. The message begins
            with its dotted key, such as ``device.write_var.sigma_S``.

        Examples
        --------
        >>> from mpimpy import Engine
        >>> engine = Engine.from_dict({"seed": 7, "device": {"var": 0.02}, "adc": {"radc": "none"}})
        >>> engine.seed, engine.config.device.var, engine.config.adc.radc
        (7, 0.02, None)
        >>> Engine.from_dict(engine.to_dict()).config == engine.config
        True
        """
        if not isinstance(mapping, Mapping):
            fail(TypeError, f"{mapping!r} is no settings: give a mapping, such as {{'device': {{'var': 0.02}}}}")
        given = dict(mapping)
        kind = given.pop("kind", "Engine")
        if kind not in ("Engine", "Config"):
            fail(ValueError, f"kind: {kind!r} does not fit here: use 'Engine' or 'Config', or leave it out")
        own = {name: given.pop(name) for name in _OWN if name in given}
        own = {name: None if value == "none" else value for name, value in own.items()}
        _check_known(given)
        config = part_from_plain(Config, given)
        engine = cls.__new__(cls)
        with _keyed("input_size"):
            if own.get("input_size") is not None:
                engine.input_size = as_int_pair("input_size", own["input_size"])
        with _keyed("sliced"):
            sliced = as_bool("sliced", own.get("sliced", False))
        for part in () if sliced else ("inputs", "weights"):
            with _keyed(f"{part}.slices", config):
                config._check(part)
        where = own.get("operand_device")
        if where is not None and not isinstance(where, str):
            fail(TypeError, f"operand_device: {where!r} must be text, such as 'cuda', or None for any")
        with _keyed(None):
            seed, chip, backend = own.get("seed"), own.get("chip", 0), own.get("backend")
            gradient = own.get("gradient", "straight")
            engine._setup(config, seed=seed, chip=chip, backend=backend, gradient=gradient, parts=())
        engine._operand_device = where
        return engine

    def save_settings(self, path: str | os.PathLike[str]) -> None:
        """Write the settings into a file, which `from_file` reads; the file appears whole or not at all.

        Parameters
        ----------
        path : str or path
            Its name ends in ``.toml`` or ``.json``.

        Raises
        ------
        OSError
            If the file cannot be written.
        TypeError, ValueError
            If `path` is no path, or its name ends otherwise.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from mpimpy import Engine
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "machine.toml"
        ...     Engine(seed=7).save_settings(path)
        ...     Engine.from_file(path).seed
        7
        """
        ending = _spec.ending_of(path)
        described = self.to_dict()
        text = as_json(described) + "\n" if ending == ".json" else as_toml(implied(described))
        write_whole({Path(path): lambda file: file.write(text.encode())})

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        r"""Return the engine that a file of settings describes.

        Parameters
        ----------
        path : str or path
            A TOML or JSON file, ``.toml`` or ``.json``, with the entries of `to_dict`; `save_settings` writes one.
            ``Engine.from_file(path).replace(chip=3)`` is another chip of the same machine.

        Raises
        ------
        OSError
            If the file cannot be read.
        TypeError, ValueError
            If it is no TOML or JSON, or as `from_dict`. The message names the line and the dotted key.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from mpimpy import Engine
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "machine.toml"
        ...     _ = path.write_text('seed = 7\n[device]\nvar = 0.02\n[adc]\nradc = "none"\n')
        ...     Engine.from_file(path).config.device.var
        0.02
        """
        spec = _spec.read_settings(path)
        try:
            return cls.from_dict(spec.values)
        except (TypeError, ValueError) as error:
            fail(type(error), _located(spec, str(error)))

    @classmethod
    @hinted_call
    def named(
        cls,
        name: str,
        *,
        seed: int | None = None,
        chip: int = 0,
        backend: str | None = None,
        gradient: str = "straight",
    ) -> Self:
        """Return the engine of a published machine: ``"isaac"``, ``"prime"`` or ``"neurram"``.

        Parameters
        ----------
        name : str
            `mpimpy.machines.listing` has the names, with what is published of each machine, what its paper leaves
            out and what is used instead, and the paper.
        seed, chip, backend, gradient
            As for `Engine`.

        Raises
        ------
        TypeError
            If there is none of that name.

        Notes
        -----
        Sources: A. Shafiee et al., "ISAAC", ISCA 2016; P. Chi et al., "PRIME", ISCA 2016; W. Wan et al., Nature 608,
        504 (2022).

        Examples
        --------
        >>> from mpimpy import Engine
        >>> Engine.named("isaac", seed=1).config.tile.rows
        128
        """
        engine = cls.from_dict(machines.settings(name))
        engine.seed, engine.chip, engine.gradient = engine.seed if seed is None else seed, chip, gradient
        engine.backend = backend
        return engine


class _keyed:
    # puts a dotted key before the message of an error: the given one, or, of a configuration, that of the setting
    # that the message begins with; None: the first word of the message
    def __init__(self, key: str | None, config: Config | None = None) -> None:
        self.key, self.config = key, config

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, _: Any) -> None:
        if not isinstance(error, TypeError | ValueError):
            return
        key, text = self.key, str(error)
        if self.config is not None:
            key = guilty_key(Config, text) or key
        if key is None:
            found = re.match(r"\w+", text)
            key = found[0] if found and found[0] in _OWN else None
        fail(type(error), f"{key}: {text}" if key else text)


def _check_known(given: Mapping[str, Any]) -> None:
    for name in given:
        if name == "device_file":
            mend = "give it to replace(device_file=) or --device_file, or save Engine(Device.from_csv(path))"
            fail(
                TypeError, f"{name}: a file of settings holds the numbers of a device, and names no other file: {mend}"
            )
        if name in HOMES:
            places = " and ".join(HOMES[name])
            fail(TypeError, f"{name}: is a flat name, and files have parts: give {places}")
        if isinstance(name, str):
            with _keyed(name):
                check_names([name], ("arithmetic", *_OWN, *_PARTS))


def _located(spec: Spec, message: str) -> str:
    # a message that may begin with a dotted key, with the place of that key in a file
    found = re.match(r"([A-Za-z_]\w*(?:\.\w+)*): ", message)
    if found is None:
        return f"{spec.path}: {message}"
    return f"{spec.where(*found[1].split('.'))}: {message[found.end() :]}"
