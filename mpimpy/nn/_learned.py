"""The few things that a layer on crossbars has beside torch's parameters: ranges that were learned or calibrated."""

import dataclasses
import json
import re
from typing import Any

import torch

from ..checks import fail
from ..config import Config, Ranges
from ..config._sense import warn
from ..engine import Engine
from ._cells import LayerCells
from ._ranges import clip_inputs
from ._training import Training

__all__ = ["LearnedRanges", "use_engine"]

_STASH = "_crossbar_ranges"  # of a layer that left its crossbars, for the next conversion


def _suffix(part: str) -> str:
    return "_" + re.sub("[ .]", "_", part) if part else ""


def _deciding(config: Config) -> dict[str, Any]:
    # the settings that decide which currents ADCs meet and into how many codes they turn them, by their names
    device = config.device
    return {
        "the formats of the inputs": config.inputs,
        "the formats of the weights": config.weights,
        "tile": config.tile,
        "dac": config.dac,
        "adc": dataclasses.replace(config.adc, range="full"),
        "wires": config.wires,
        "the levels of the device": (device.LGS, device.HGS, device.g_level, device.levels),
    }


def _changed(config: Config, before: dict[str, Any]) -> list[str]:
    # the names of deciding settings that are not those of before
    return [name for name, value in _deciding(config).items() if value != before[name]]


def _take_range(cells: LayerCells, found: Ranges | str, before: dict[str, Any]) -> None:
    # the range of an earlier conversion, where the settings are still those that it was found with
    changed = _changed(cells.engine.config, before)
    if cells.engine.config.adc.range not in ("full", found):
        changed.append("adc.range")
    if not changed:
        cells.use_range(found)
        return
    _warn_of(cells, "its ADC range is dropped, which an earlier conversion found with other settings", changed)


def _warn_of(cells: LayerCells, what: str, changed: list[str]) -> None:
    shown = f" ({', '.join(changed)})" if changed else ""
    warn(f"layer {cells.name!r}: {what}{shown}: run mpimpy.nn.calibrate_(model, data) again")


def use_engine(cells: LayerCells, engine: Engine) -> None:
    """Give cells another engine, with a warning if it lacks their calibrated range or decides other currents.

    Parameters
    ----------
    cells : LayerCells
    engine : Engine
    """
    kept, before = cells.calibrated, _deciding(cells.engine.config)
    cells.use(engine)
    if kept is None:
        return
    changed, own = _changed(engine.config, before), engine.config.adc.range
    if not changed and own == kept:
        cells.calibrated = kept
    elif own == kept:
        _warn_of(cells, "its new engine has an ADC range that was found with other settings", changed)
    else:
        _warn_of(cells, "its calibrated ADC range is dropped, which its new engine does not have", changed)


class LearnedRanges:
    """Ranges of a layer's inputs and of its ADCs, as parameters and keys of its ``state_dict``.

    A layer that has neither learned nor been calibrated has no such keys, and none need be there when it is loaded.
    """

    training_settings: Training
    _cells: dict[str, LayerCells]

    def _make_ranges(self) -> None:
        # after conversion: parameters of the input ranges, and what an earlier conversion has found
        layer: Any = self
        kept = layer.__dict__.pop(_STASH, {})
        reference = next(layer.parameters())
        for part, cells in self._cells.items():
            if self.training_settings.input_ranges is not None:
                bound, seen = kept.get(f"input{_suffix(part)}", (None, None))
                if bound is None:
                    bound = torch.nn.Parameter(torch.ones((), dtype=torch.float32, device=reference.device))
                    seen = torch.zeros((), dtype=torch.int64, device=reference.device)
                layer.register_parameter(f"input_range{_suffix(part)}", bound)
                layer.register_buffer(f"input_range_seen{_suffix(part)}", seen)
            if (found := kept.get(f"adc{_suffix(part)}")) is not None:
                _take_range(cells, *found)

    def _drop_ranges(self) -> None:
        # before the layer leaves its crossbars
        layer: Any = self
        kept: dict[str, Any] = {}
        for part, cells in self._cells.items():
            if self.training_settings.input_ranges is not None:
                bound = layer._parameters.pop(f"input_range{_suffix(part)}")
                kept[f"input{_suffix(part)}"] = bound, layer._buffers.pop(f"input_range_seen{_suffix(part)}")
            if cells.calibrated is not None:
                kept[f"adc{_suffix(part)}"] = cells.calibrated, _deciding(cells.engine.config)
        if kept:
            layer.__dict__[_STASH] = kept

    def _in_range(self, x: Any, part: str) -> Any:
        settings = self.training_settings.input_ranges
        if settings is None:
            return x
        layer: Any = self
        if layer.training and self._cells[part].shard is not None:
            fail(
                ValueError,
                f"layer {self._cells[part].name!r}: input_ranges follow the inputs of one process, and would differ "
                "on the ranks: learn them in one process, or train with Training(input_ranges=None)",
            )
        bound = getattr(layer, f"input_range{_suffix(part)}")
        seen = getattr(layer, f"input_range_seen{_suffix(part)}")
        return clip_inputs(x, bound, seen, settings, bool(layer.training))

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)  # type: ignore[misc]
        for part, cells in self._cells.items():
            if (found := cells.calibrated) is not None:
                ends = [found.low, found.span] if isinstance(found, Ranges) else []
                destination[f"{prefix}adc_range{_suffix(part)}"] = torch.tensor(ends, dtype=torch.float64)
                destination[f"{prefix}adc_range_settings{_suffix(part)}"] = _settings_as_tensor(cells.engine.config)

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        given = (state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        super()._load_from_state_dict(*given)  # type: ignore[misc]
        for part, cells in self._cells.items():
            for own in (f"{prefix}input_range{_suffix(part)}", f"{prefix}input_range_seen{_suffix(part)}"):
                if own in missing_keys:
                    missing_keys.remove(own)
            key, found_with = (f"{prefix}{name}{_suffix(part)}" for name in ("adc_range", "adc_range_settings"))
            for own in {key, found_with}.intersection(unexpected_keys):
                unexpected_keys.remove(own)
            if key not in state_dict:
                continue
            try:
                _load_range(cells, state_dict[key], state_dict.get(found_with))
            except (TypeError, ValueError) as error:
                error_msgs.append(f"{key}: {error}")


def _settings_as_tensor(config: Config) -> Any:
    # JSON text: state dicts hold tensors, and some readers of theirs nothing else
    plain = config.replace(adc={"range": "full"}).to_dict()
    return torch.tensor(list(json.dumps(plain).encode()), dtype=torch.uint8)


def _load_range(cells: LayerCells, ends: Any, found_with: Any) -> None:
    # a range of a state dict, in A, which other settings would make wrong
    found = _range_of(ends)
    if found_with is not None:
        plain = json.loads(bytes(found_with.tolist()))
        changed = _changed(cells.engine.config, _deciding(Config.from_dict(plain)))
        if changed:
            what = "its ADC range stays as it is; that of the state dict was found with other settings"
            _warn_of(cells, what, changed)
            return
    cells.use_range(found)


def _range_of(ends: Any) -> Ranges | str:
    if ends.numel() == 0:
        return "full"
    if ends.ndim != 3 or ends.shape[0] != 2:
        fail(ValueError, f"it has shape {tuple(ends.shape)}, where (2, weight slices, input slices) is wanted")
    low, span = ends.tolist()
    return Ranges(low, span)
