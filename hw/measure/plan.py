"""A tool run as a value: what goes in, the command and the tool's version. Its digest is the cache key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codesign.errors import StorageError


@dataclass(frozen=True)
class BuildPlan:
    """Files by name, the command script, and the tool by name and version. Making one runs and writes nothing."""

    files: Mapping[str, str]
    script: str
    tool: str
    version: str
    top: str

    def digest(self) -> str:
        """SHA-256 over everything that decides the result."""
        content = [sorted(self.files.items()), self.script, self.tool, self.version, self.top]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write the files into the folder, made if needed; StorageError when the disk refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
    except OSError as error:
        raise StorageError(
            f"cannot write {error.filename or folder}: {error.strerror}; make room there or choose another folder"
        ) from error
