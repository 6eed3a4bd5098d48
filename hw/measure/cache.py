"""What tools made, kept on disk by what it was made of: the same input is not synthesized or compiled again.

An entry is a file named by the digest of everything that decides its content, and begins with the SHA-256 of the rest:
one that was cut short or altered is not there. It is written beside its place and then renamed, so that processes
may read and write the same entries and be killed at any time.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from codesign.errors import StorageError

SETTING = "CODESIGN_CACHE"
"""Environment variable: another folder for what is kept; empty: nothing is kept, nothing is taken."""
LIMIT_BYTES = 2 << 30
_CHECK = hashlib.sha256().digest_size
# a file being written for longer than this belongs to a process that was killed
_ABANDONED_S = 3600.0
_WRITING = ".writing-"


def cache_folder(*below: str) -> Path:
    """Where what can be made again is kept, for all runs of this user; StorageError where it cannot be made."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").joinpath("codesign", *below)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}; set XDG_CACHE_HOME to another folder") from None
    return folder


@dataclass(frozen=True)
class Cache:
    """Entries below ``folder``, of ``limit_bytes`` together: the least recently used go first.

    ``taken``: keys of those that this object gave.
    """

    folder: Path
    limit_bytes: int = LIMIT_BYTES
    taken: list[str] = field(default_factory=list, compare=False)

    @classmethod
    def of_user(cls) -> Cache | None:
        """The one that all runs of this user share; None where they are told to keep none."""
        setting = os.environ.get(SETTING)
        if setting == "":
            return None
        return cls(Path(setting) if setting else cache_folder("builds"))

    def get(self, key: str) -> bytes | None:
        """The entry, if it is there and whole; it then counts as used."""
        path = self.folder / key
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        check, data = content[:_CHECK], content[_CHECK:]
        if hashlib.sha256(data).digest() != check:
            return None
        self.taken.append(key)
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep an entry, and drop old ones beyond the limit; StorageError when the disk refuses."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=_WRITING, dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(data).digest() + data)
                Path(name).replace(self.folder / key)
            except BaseException:
                Path(name).unlink()
                raise
        except OSError as error:
            raise StorageError(
                f"cannot write {self.folder}: {error.strerror}; make room there, or set {SETTING} to another folder "
                "or to nothing"
            ) from None
        self._shrink()

    def used_bytes(self) -> int:
        """Of all entries, and of what is being written."""
        return sum(size for _, size, _ in self._found())

    def _found(self) -> list[tuple[float, int, Path]]:
        """Files by time of last use, the latest first; other processes may drop some meanwhile."""
        found = list[tuple[float, int, Path]]()
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            with suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        return sorted(found, reverse=True)

    def _shrink(self) -> None:
        total, oldest_writing = 0, time.time() - _ABANDONED_S
        for changed, size, path in self._found():
            total += size
            being_written = path.name.startswith(_WRITING)
            if (being_written and changed < oldest_writing) or (not being_written and total > self.limit_bytes):
                path.unlink(missing_ok=True)
