"""Bundle: everything a board needs to run one accelerator, as one file.

A zip archive of uncompressed members (so that no compressor's version shows) in fixed order with fixed times: the same
content gives the same bytes. ``manifest.json`` comes first and names every other member with its size and SHA-256.
boards/agent/archive.py reads it, here as on the board.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards.agent.archive import FORMAT, MANIFEST, NAME, ArchiveError, read_archive, sha256
from codesign.errors import BundleError, StorageError

SUFFIX = ".zip"
MOST_BYTES = 256 << 20
"""Largest bundle that is read: a bitstream of the largest part that we know of is half of it."""
_OWN_KEYS = ("format", "files")
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """``files`` by name, and what ``manifest`` says of them: plain JSON values, of the caller's own keys.

    In the archive the manifest has two keys more: ``format`` and ``files``.
    """

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    def content(self) -> bytes:
        """The archive; the same for equal bundles."""
        assert not set(_OWN_KEYS) & set(self.manifest), "these keys are the bundle's own"
        assert all(NAME.fullmatch(name) for name in self.files), f"unsafe names: {sorted(self.files)}"
        described = {
            "format": FORMAT,
            **self.manifest,
            "files": {name: {"bytes": len(data), "sha256": sha256(data)} for name, data in sorted(self.files.items())},
        }
        manifest = json.dumps(described, indent=2, sort_keys=True, allow_nan=False) + "\n"
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
            for name, data in ((MANIFEST, manifest.encode()), *sorted(self.files.items())):
                member = zipfile.ZipInfo(name, _EPOCH)
                member.create_system = 3  # Unix, on whatever this runs
                member.external_attr = 0o100644 << 16
                archive.writestr(member, data)
        return written.getvalue()

    def write(self, path: Path) -> None:
        """Write the archive; StorageError when the disk refuses."""
        beside = path.with_name(f".{path.name}.new")
        try:
            beside.write_bytes(self.content())
            beside.rename(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise StorageError(f"cannot write {path}: {error.strerror}; make room there, then run again") from None


def read_bundle(path: Path) -> Bundle:
    """The bundle in a file; BundleError where it is damaged, unsafe, too large or of another version."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BundleError(f"{path} has more than {MOST_BYTES >> 20} MiB; it is no bundle")
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from None
    return parse_bundle(content, str(path))


def parse_bundle(content: bytes, where: str) -> Bundle:
    """The bundle of these bytes; BundleError as for :func:`read_bundle`."""
    try:
        manifest, members = read_archive(content)
    except ArchiveError as error:
        raise BundleError(f"{where} {error}; build it again") from None
    return Bundle({key: value for key, value in manifest.items() if key not in _OWN_KEYS}, members)
