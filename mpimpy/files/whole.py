"""Files that appear whole or not at all."""

import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ..checks import fail

__all__ = ["write_whole"]


def write_whole(outputs: Mapping[Path, Callable[[IO[bytes]], Any]]) -> None:
    """Write files: all of them appear whole, or none does.

    A file that is there keeps its mode. Several savers, threads or processes, may write one path at once: the
    last one wins.

    Parameters
    ----------
    outputs : mapping
        For each path, a function that writes into an open file.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    # each saver has names of its own
    parts = {path: path.with_name(f".mpimpy-{secrets.token_hex(8)}.part") for path in outputs}
    try:
        for path, write in outputs.items():
            with _create(parts[path], _mode(path)) as file:
                write(file)
        for path, part in parts.items():
            os.replace(part, path)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise OSError(msg) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _mode(path: Path) -> int | None:
    # the mode of the file that will be replaced; None if there is none
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        fail(OSError, "it is a folder, a device, a pipe or a socket")
    return stat.S_IMODE(mode)


def _create(path: Path, mode: int | None) -> IO[bytes]:
    # a new file, which never has more rights than `mode`; None: those that the umask leaves
    wanted = 0o666 if mode is None else mode & 0o777
    file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, wanted))  # noqa: SIM115
    if mode is not None and stat.S_IMODE(os.fstat(file.fileno()).st_mode) != mode:
        try:
            path.chmod(mode)
        except BaseException:
            file.close()
            raise
    return file
