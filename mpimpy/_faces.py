"""How an engine shows itself: the call that makes it, and a table for notebooks."""

from typing import Any

from ._html import table
from .config import Config
from .config._shown import settings_text, value_text
from .config._unflat import flat_settings
from .reads import CountedReads

__all__ = ["ShownEngine"]

_PARTS = ("device", "dac", "adc", "tile", "inputs", "weights", "wires")
_USUAL: dict[str, Any] = {"input_size": None, "chip": 0, "backend": None, "gradient": "straight"}


def _arguments(given: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value_text(value)}" for name, value in given.items())


class ShownEngine(CountedReads):
    """Engine that shows itself by what differs from the defaults."""

    config: Config
    seed: int
    _flat: bool = False  # its constructor takes flat settings
    _operand_device: Any

    def __repr__(self) -> str:
        usual, name = Config(), type(self).__name__
        others = {key: value for key in _USUAL if (value := getattr(self, key)) != _USUAL[key]}
        stream = "" if self.stream is None else f".in_stream({self.stream!r}, {self.reads})"
        flat = flat_settings(self.config) if self._flat else None
        if flat is not None:
            where = {} if self._operand_device is None else {"device": self._operand_device}
            return f"{name}({_arguments(flat | where | {'seed': self.seed} | others)}){stream}"
        # an Engine takes parts, and neither of these; the predecessors multiply in ways of their own
        parts = {key: getattr(self.config, key) for key in _PARTS}
        found = {key: part for key, part in parts.items() if part != getattr(usual, key)} | {"seed": self.seed}
        both = {"input_size": others.pop("input_size", None), "operand_device": self._operand_device}
        beside = {key: value for key, value in both.items() if value is not None}
        call = f"Engine({_arguments(found | others)}){stream}"
        if not beside and self._fits() and name in ("Engine", "DPETensor"):
            return call
        told = f" with {_arguments(beside)}" if beside else ""
        return f"<{name}: {call}{told}>"

    def _fits(self) -> bool:
        # whether the formats fit the machine, as `Engine` demands
        try:
            self.config._check("inputs", "weights")
        except ValueError:
            return False
        return True

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [(name, settings_text(getattr(self.config, name))) for name in _PARTS]
        names = ("seed", "chip", "reads", "stream", "backend", "gradient", "input_size")
        others = {name: getattr(self, name) for name in names} | {"operand_device": self._operand_device}
        rows += [(name, value) for name, value in others.items() if value is not None]
        return table(rows, caption=type(self).__name__)
