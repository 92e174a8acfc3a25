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


class ShownEngine(CountedReads):
    """Engine that shows itself by what differs from the defaults."""

    config: Config
    seed: int
    _flat: bool = False  # its constructor takes flat settings
    _operand_device: Any

    def _given(self) -> dict[str, Any]:
        # arguments of the constructor
        usual = Config()
        found = flat_settings(self.config) if self._flat else None
        if found is None:
            parts = {name: getattr(self.config, name) for name in _PARTS}
            found = {name: part for name, part in parts.items() if part != getattr(usual, name)}
        elif self._operand_device is not None:
            found["device"] = self._operand_device
        found["seed"] = self.seed
        return found | {name: value for name in _USUAL if (value := getattr(self, name)) != _USUAL[name]}

    def __repr__(self) -> str:
        call = ", ".join(f"{name}={value_text(value)}" for name, value in self._given().items())
        stream = "" if self.stream is None else f".in_stream({self.stream!r}, {self.reads})"
        return f"{type(self).__name__}({call}){stream}"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [(name, settings_text(getattr(self.config, name))) for name in _PARTS]
        others = {name: getattr(self, name) for name in ("seed", "chip", "reads", "stream", "backend", "gradient")}
        rows += [(name, value) for name, value in others.items() if value is not None]
        return table(rows, caption=type(self).__name__)
