"""Caches that are bounded by the memory that they hold, not by their number of entries alone."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper as Cached

__all__ = ["bounded", "hashed_once"]

T = TypeVar("T")

KEPT_BYTES = 1 << 26  # that one cache holds before it starts afresh


def bounded(maxsize: int, size: Callable[..., int]) -> "Callable[[Callable[..., T]], Cached[T]]":
    """Return a decorator like `functools.lru_cache` that also bounds the bytes of its entries.

    A hit costs what one of `functools.lru_cache` does. Misses add up their bytes; where the sum passes
    `KEPT_BYTES`, the cache forgets all entries but the new one, which may be larger.

    Parameters
    ----------
    maxsize : int
        Entries at most.
    size : function
        Called as ``size(result, *arguments)``: bytes of an entry, its arguments included.

    Examples
    --------
    >>> @bounded(8, lambda text, *_: len(text))
    ... def repeated(letter, count):
    ...     return letter * count
    >>> [len(repeated(letter, 1 << 25)) >> 20 for letter in "abc"], repeated.cache_info().currsize
    ([32, 32, 32], 1)
    """

    def decorate(function: Callable[..., T]) -> "Cached[T]":
        held = 0

        @functools.wraps(function)
        def compute(*arguments: Any) -> T:
            nonlocal held
            result = function(*arguments)
            new = size(result, *arguments)
            held += new
            if held > KEPT_BYTES:
                cached.cache_clear()
                held = new
            return result

        cached = functools.lru_cache(maxsize)(compute)
        return cached

    return decorate


def hashed_once(kind: type[T]) -> type[T]:
    """Let each instance of a frozen dataclass keep its hash: values that many caches are asked by.

    A pickle and a copy leave it behind: texts have other hashes in other processes.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @hashed_once
    ... @dataclass(frozen=True)
    ... class Point:
    ...     place: tuple[int, int]
    >>> hash(Point((1, 2))) == hash(Point((1, 2)))
    True
    """
    compute = kind.__hash__

    def kept(self: Any) -> int:
        fields: dict[str, Any] = self.__dict__
        found: int | None = fields.get("_hash")
        if found is None:
            found = fields["_hash"] = compute(self)
        return found

    def state(self: Any) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    kind.__hash__ = kept  # type: ignore[method-assign]
    kind.__getstate__ = state  # type: ignore[method-assign]
    return kind
