"""The store of a sweep: a folder of JSON lines that any number of writers share without a lock.

``sweep.json`` names the format and the arithmetic. Each writer has a file of its own, ``*.jsonl``, and writes each
line by one call. A line begins with the CRC-32 of the rest of it, so a line that was torn is found, wherever it was
torn. A line is a run (workload, seed, space) or a point of the run before it in the file.
"""

import json
import os
import platform
import re
import secrets
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..checks import as_choice, fail
from ..config import ARITHMETIC
from ..files.whole import write_whole
from ._outcome import Outcome
from ._plain import shown
from ._space import Point, named

__all__ = ["Record", "Run", "Store", "read_lines"]

FORMAT = 1
_HEAD = b'{"crc":"'
_BODY = len(_HEAD) + 10  # after the eight digits and `",`


class Run(NamedTuple):
    """A run of a sweep: its workload's identity and name, seed, settings, space, repeats, units, and time of start."""

    workload: str
    name: str
    seed: int
    settings: dict[str, Any]
    space: dict[str, list[Any]]
    repeats: int
    units: dict[str, str]
    at: float

    @property
    def identity(self) -> tuple[str, int]:
        """Workload and seed: results of different ones are never mixed."""
        return self.workload, self.seed


class Record(NamedTuple):
    """A finished point: settings that its run varies, chip, result as JSON holds it or error, seconds, time, place."""

    address: str
    varied: dict[str, Any]
    chip: int
    result: Any
    error: str | None
    killed: bool
    seconds: float
    at: float
    run: Run | None
    place: tuple[str, int]


def line_of(value: dict[str, Any]) -> bytes:
    """Return the line of a dict, with its CRC."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return b'%s%08x",%s\n' % (_HEAD, zlib.crc32(body), body[1:])


def read_lines(data: bytes) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield (offset, dict) for each line; None for a line that is torn."""
    offset = 0
    for line in data.split(b"\n"):
        if line:
            body = b"{" + line[_BODY:]
            whole = line[:_BODY] == b'%s%08x",' % (_HEAD, zlib.crc32(body))
            yield offset, json.loads(body) if whole else None
        offset += len(line) + 1


class Store:
    """Finished points by address, in a folder or, without one, in memory.

    Parameters
    ----------
    path : path or None
    duplicates : str
        For points that were computed twice: ``"equal"``, their results must be equal; ``"first"``, the first counts.

    Attributes
    ----------
    records : dict
        All whole lines of each address.
    runs : list of Run

    Raises
    ------
    ValueError
        If the folder holds no sweep, or one of another format; if two results of a point differ.
    """

    def __init__(self, path: str | os.PathLike[str] | None, duplicates: str = "equal") -> None:
        self.path = None if path is None else Path(path)
        self.duplicates = as_choice("duplicates", duplicates, ("equal", "first"))
        self.records: dict[str, list[Record]] = {}
        self.runs: list[Run] = []
        self._torn: dict[str, int] = {}
        self._torn_ends: dict[str, bool] = {}
        self.arithmetic = ARITHMETIC
        self._read_to: dict[str, int] = {}
        self._last_run: dict[str, Run] = {}
        self._file: int | None = None
        self._name, self._at = "", 0

    def open(self) -> "Store":
        """Read a store that is there.

        Raises
        ------
        OSError, ValueError
            If there is none, or one of a later format.
        """
        path = self._index_path()
        try:
            index = json.loads(path.read_bytes())
            version, self.arithmetic = int(index["format"]), int(index["arithmetic"])
        except FileNotFoundError as error:
            msg = f"{self.path} holds no sweep: there is no {path.name} in it"
            raise FileNotFoundError(msg) from error
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path} is no description of a sweep: {error}"
            raise ValueError(msg) from error
        if version > FORMAT:
            fail(ValueError, f"{path} has format {version}, and this mpimpy reads formats up to {FORMAT}: update it")
        self.refresh()
        return self

    def create(self) -> "Store":
        """Read the store of a path, or make it.

        Raises
        ------
        ValueError
            If it is of another version of the arithmetic.
        """
        if self.path is None:
            return self
        if not self._index_path().exists():
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                msg = f"store={str(self.path)!r} cannot be a folder: {error.strerror or error}"
                raise OSError(msg) from error
            text = json.dumps({"format": FORMAT, "arithmetic": ARITHMETIC}, indent=1).encode()
            # all writers write the same
            write_whole({self._index_path(): lambda file: file.write(text + b"\n")})
        self.open()
        if self.arithmetic != ARITHMETIC:
            fail(
                ValueError,
                f"the store {self.path} holds results of arithmetic {self.arithmetic}, and this mpimpy computes with "
                f"arithmetic {ARITHMETIC}: use another folder, or the mpimpy that made it",
            )
        return self

    def _index_path(self) -> Path:
        assert self.path is not None
        return self.path / "sweep.json"

    def refresh(self) -> None:
        """Read the lines that other writers have added.

        Raises
        ------
        ValueError
            If a point has two results.
        """
        if self.path is None:
            return
        for path in sorted(self.path.glob("*.jsonl")):
            if path.name == self._name:
                continue  # its own lines are known
            begin = self._read_to.get(path.name, 0)
            try:
                with path.open("rb") as file:
                    file.seek(begin)
                    data = file.read()
            except OSError as error:
                msg = f"{path} cannot be read: {error.strerror or error}. Files of a store end so: move it away"
                raise OSError(msg) from error
            whole = data.rfind(b"\n") + 1
            self._torn_ends[path.name] = False
            for offset, value in read_lines(data):
                if value is None and offset < whole:
                    self._torn[path.name] = self._torn.get(path.name, 0) + 1
                elif value is None:
                    self._torn_ends[path.name] = True
                elif "run" in value:
                    self._add_run(path.name, Run(**value["run"]))
                else:
                    self._add(value, (path.name, begin + offset))
            # the rest of an unfinished line may still come
            self._read_to[path.name] = begin + whole

    @property
    def torn(self) -> int:
        """Lines that were dropped, since they are not whole."""
        return sum(self._torn.values()) + sum(self._torn_ends.values())

    @property
    def lost(self) -> int:
        """Points whose run is not known: the first line of their file is not there, or is not whole."""
        return sum(record.run is None for records in self.records.values() for record in records)

    def _add_run(self, name: str, run: Run) -> None:
        self._last_run[name] = run
        self.runs.append(run)

    def _add(self, value: dict[str, Any], place: tuple[str, int]) -> None:
        record = Record(
            value["a"],
            value["s"],
            value["c"],
            value.get("v"),
            value.get("e"),
            "k" in value,
            value["w"],
            value["t"],
            self._last_run.get(place[0]),
            place,
        )
        others = self.records.setdefault(record.address, [])
        if self.duplicates == "equal" and record.error is None:
            for other in others:
                if other.error is None and other.result != record.result:
                    fail(ValueError, self._unequal(other, record))
        if all(other.place != place for other in others):
            others.append(record)

    def _unequal(self, one: Record, two: Record) -> str:
        both = " and ".join(f"{_result(record.result)} ({record.place[0] or 'now'})" for record in (one, two))
        whole = (one.run.settings if one.run else {}) | one.varied
        return (
            f"the point {named(whole, one.chip)} (address {one.address}) has two results, {both}: "
            "the workload has randomness of its own, or another machine's float sums; "
            "duplicates='first' keeps the first of them"
        )

    def best(self, address: str) -> Record | None:
        """Return the record that counts for an address: the first result, else the last error; None without any."""
        records = self.records.get(address)
        if not records:
            return None
        if len(records) == 1:
            return records[0]
        done = [record for record in records if record.error is None]
        return min(done, key=_order) if done else max(records, key=lambda record: record.at)

    def begin(self, run: Run) -> None:
        """Begin to write: a file of its own, whose first line is the run."""
        if self.path is not None:
            host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node())[:40]
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            self._name = f"{stamp}-{host}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._file = os.open(self.path / self._name, flags, 0o666)
        self._at = 0
        self._add_run(self._name, run)
        self._write({"run": run._asdict()})

    def add(self, point: Point, outcome: Outcome) -> None:
        """Write the outcome of a point.

        Raises
        ------
        ValueError
            If the point has another result already.
        OSError
            If the line cannot be written.
        """
        value = {
            "a": point.address,
            "s": point.case.varied,
            "c": point.chip,
            **({"v": outcome.result} if outcome.error is None else {"e": outcome.error}),
            **({"k": 1} if outcome.killed else {}),
            "w": round(outcome.seconds, 6),
            "t": round(time.time(), 3),
        }
        place = (self._name, self._at)
        self._write(value)
        self._add(value, place)

    def copy(self, record: Record, point: Point) -> None:
        """Write a stored result under the names that this run has for its settings."""
        self.add(point, Outcome(record.result, record.error, record.seconds, killed=record.killed))

    def _write(self, value: dict[str, Any]) -> None:
        line = line_of(value)
        self._at += len(line)
        if self._file is None:
            return
        try:
            while line:  # a full disk or a signal may cut a write short
                line = line[os.write(self._file, line) :]
        except OSError as error:
            msg = f"{self.path}: cannot be written: {error.strerror or error}; the points that are in it are safe"
            raise OSError(msg) from error

    def close(self) -> None:
        """End writing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _order(record: Record) -> tuple[str, int]:
    return record.place


def _result(value: Any) -> str:
    return shown(value).strip("()") if isinstance(value, dict) else str(value)
