"""The agent's folder: bundles by their SHA-256, the overlay in use, and the lease on the board.

Every name in it is made here of hexadecimal digits. A file appears whole or not at all.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

from .archive import sha256
from .errors import AgentError

FOLDER = "/var/lib/codesign-board"
"""The same for all users, since the lease on the board is in it; overlays need root anyway."""
KEPT = 8
"""Bundles that are kept; the oldest go first."""
SPARE = 1 << 20
_LEASE = "lease"
_NEW = ".new"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Store:
    """The folder, made where it is missing; AgentError where someone else could write there, or the disk refuses."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.lstat()
        except OSError as error:
            raise AgentError("storage", f"cannot make {folder} on the board: {error.strerror}") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise AgentError(
                "environment",
                f"{folder} on the board is not a folder of the agent's own; remove it there, then try again",
            )
        self.folder = folder
        self._lease: int | None = None

    def lease(self) -> None:
        """Hold the board until this process ends; the kernel lets go then, however it ends. AgentError if held."""
        if self._lease is not None:
            return
        try:
            descriptor = os.open(self.folder / _LEASE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AgentError("storage", f"cannot open {self.folder / _LEASE} on the board: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise AgentError(
                "busy", f"the board is in use by process {holder} on it; try again when that has ended"
            ) from None
        self._lease = descriptor
        for left in self.folder.glob(f"{_NEW}*"):  # of an agent that was killed
            left.unlink()
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            if error.errno not in _FULL:  # the number is only for the message; a full disk may still hold what is asked
                raise

    def close(self) -> None:
        """Let go of the board."""
        if self._lease is not None:
            os.close(self._lease)
            self._lease = None

    def free_bytes(self) -> int:
        """What is left on the disk."""
        return shutil.disk_usage(self.folder).free

    def bundles(self) -> list[str]:
        """Digests of the bundles that are here, the one not used for longest first."""
        return [stem for _, stem in self._by_use()]

    def _by_use(self) -> list[tuple[int, str]]:
        found = []
        for path in self.folder.glob("*.zip"):
            if re.fullmatch(r"[0-9a-f]{64}", path.stem):
                with suppress(FileNotFoundError):  # whoever has the board may drop it meanwhile
                    found.append((path.stat().st_mtime_ns, path.stem))
        return sorted(found)

    def _use(self, path: Path) -> None:
        """Make it the one used last, within a tick of the system's clock, and after that was set back, too."""
        last = max((used for used, stem in self._by_use() if stem != path.stem), default=0)
        now = max(time.time_ns(), last + 1)
        os.utime(path, ns=(now, now))

    def put(self, content: bytes) -> None:
        """Keep a bundle."""
        digest = sha256(content)
        for old in [name for name in self.bundles() if name != digest][: -(KEPT - 1)]:
            (self.folder / f"{old}.zip").unlink()
        self._write(f"{digest}.zip", content)
        self._use(self.folder / f"{digest}.zip")

    def get(self, digest: str) -> bytes:
        """The bundle of this digest, checked again: it may have lain there for long. AgentError without."""
        assert re.fullmatch(r"[0-9a-f]{64}", digest), digest
        path = self.folder / f"{digest}.zip"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise AgentError("request", f"the board has no bundle {digest[:16]}; send it first") from None
        except OSError as error:
            raise AgentError("storage", f"cannot read {path} on the board: {error.strerror}") from None
        if sha256(content) != digest:
            path.unlink()
            raise AgentError("storage", f"bundle {digest[:16]} was damaged on the board's disk; send it again")
        self._use(path)
        return content

    def overlay(self, bit: bytes, hwh: bytes) -> Path:
        """Bitstream and hwh as the two files that pynq takes; gives the bitstream's. Any earlier pair goes.

        The name is made of both contents: pynq and the kernel tell bitstreams apart by name alone.
        """
        stem = f"cdg_{sha256(sha256(bit).encode() + sha256(hwh).encode())[:32]}"
        for old in (*self.folder.glob("cdg_*.bit"), *self.folder.glob("cdg_*.hwh")):
            old.unlink()
        self._write(f"{stem}.hwh", hwh)
        self._write(f"{stem}.bit", bit)
        return self.folder / f"{stem}.bit"

    def _write(self, name: str, content: bytes) -> None:
        path, beside = self.folder / name, self.folder / f"{_NEW}-{name}"
        try:
            if self.free_bytes() < len(content) + SPARE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            needed = f"{len(content) + SPARE >> 10} KiB are needed in {self.folder}"
            raise AgentError("storage", f"the board's disk refuses: {error.strerror}; {needed}") from None
