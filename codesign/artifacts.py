"""Artefacts of a run (netlists, logs, models), stored by the SHA-256 of their content."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

from codesign.errors import RunError, StorageError

FOLDER = "artifacts"


class ArtifactStore:
    """Content-addressed files of one run folder; any number of processes may put at once."""

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / FOLDER

    def path(self, digest: str) -> Path:
        """Where the content with this digest is kept."""
        return self.folder / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Store ``data`` and return its SHA-256; complete and on disk when this returns.

        Raises StorageError when the disk refuses.
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if path.exists():  # only complete files get this name
            return digest
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_durably(path, data)
        except OSError as error:
            raise StorageError(
                f"cannot store in {self.folder}: {error.strerror}; make room there, then run the same command again: "
                "every candidate stored so far is kept and the search continues"
            ) from None
        return digest

    def get(self, digest: str) -> bytes:
        """The content; RunError where it is missing or was changed."""
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RunError(f"artefact {path} cannot be read: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise RunError(f"artefact {path} is damaged: its content does not match its name")
        return data


def _write_durably(path: Path, data: bytes) -> None:
    """Write beside ``path``, flush to the disk, then rename: a reader sees all of it or nothing."""
    beside = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with beside.open("xb") as file:  # not by tempfile, which shuts out everyone whom the umask lets read
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
