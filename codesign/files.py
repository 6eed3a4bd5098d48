"""Files that readers see whole or not at all."""

from __future__ import annotations

from pathlib import Path

from codesign.errors import StorageError


def write_whole(path: Path, text: str, then: str) -> None:
    """Write ``text`` beside ``path`` and rename; StorageError telling ``then`` what to do where the disk refuses."""
    beside = path.with_suffix(".new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.rename(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; make room there, then {then}") from None
