"""Files that readers see whole or not at all, and folders that one process writes at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codesign.errors import InputError, RunError, StorageError


@contextmanager
def alone_in(folder: Path, what: str) -> Iterator[None]:
    """Hold ``folder`` against other processes that do the same; RunError naming ``what`` is being done there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(f"cannot write in {folder}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{what} in {folder} by another process; wait for it, then run that again") from None
        yield
    finally:
        os.close(lock)  # lets go of it


def require_place(path: Path, option: str) -> None:
    """InputError where no file could be written at ``path``, which the ``option`` gave: said before the work."""
    folder = path.absolute().parent
    if path.is_dir():
        what = "it is a folder"
    elif not folder.is_dir():
        what = f"there is no folder {folder}"
    elif not os.access(folder, os.W_OK):
        what = f"no file can be written in {folder}"
    else:
        return
    raise InputError(f"cannot write {path}: {what}; give another {option}")


def write_whole(path: Path, content: str | bytes, then: str) -> None:
    """Write ``content`` beside ``path`` and rename; StorageError telling ``then`` what to do where the disk refuses."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(content if isinstance(content, bytes) else content.encode())
        beside.rename(path)
    except OSError as error:
        with suppress(OSError):  # the folder itself may refuse
            beside.unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {error.strerror}; make room there, then {then}") from None
