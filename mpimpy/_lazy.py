"""Libraries whose arrays are not computed yet: their products are found when the first such array comes in."""

from typing import Any

from .arrays import register_lazy

__all__: list[str] = []


def _product(a: Any, b: Any, engine: Any, settings: Any) -> Any:
    from . import cluster

    return cluster.product(a, b, engine, settings)


def _program(engine: Any, w: Any, options: dict[str, Any]) -> Any:
    from . import cluster

    return cluster.program(engine, w, options)


def _multiply(engine: Any, x: Any, w: Any, read: int | None) -> Any:
    from . import cluster

    return cluster.multiply(engine, x, w, read)


def _read(matrix: Any, x: Any, read: int | None, options: dict[str, Any]) -> Any:
    from . import cluster

    return cluster.read(matrix, x, read, **options)


register_lazy("dask", _product, program=_program, multiply=_multiply, read=_read)
