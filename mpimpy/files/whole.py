"""Files that appear whole or not at all."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

__all__ = ["write_whole"]


def write_whole(outputs: Mapping[Path, Callable[[IO[bytes]], Any]]) -> None:
    """Write files: all of them appear whole, or none does.

    Parameters
    ----------
    outputs : mapping
        For each path, a function that writes into an open file.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in outputs}
    try:
        for path, write in outputs.items():
            with open(parts[path], "xb") as file:
                write(file)
        for path, part in parts.items():
            os.replace(part, path)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise OSError(msg) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
