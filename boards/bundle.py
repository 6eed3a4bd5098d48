"""Bundle: everything a board needs to run one accelerator, as one file.

A zip archive of uncompressed members (so that no compressor's version shows) in fixed order with fixed times: the same
content gives the same bytes. ``manifest.json`` comes first and names every other member with its size and SHA-256.
Reading trusts nothing: names, sizes and sums are checked before any content is handed on.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.errors import BundleError, StorageError

FORMAT = 1
MANIFEST = "manifest.json"
SUFFIX = ".zip"
MOST_BYTES = 256 << 20
"""Largest bundle that is read: a bitstream of the largest part that we know of is half of it."""
MOST_MEMBERS = 1000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
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
        assert not {"format", "files"} & set(self.manifest), "these keys are the bundle's own"
        assert all(_NAME.fullmatch(name) for name in self.files), f"unsafe names: {sorted(self.files)}"
        described = {
            "format": FORMAT,
            **self.manifest,
            "files": {
                name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in sorted(self.files.items())
            },
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
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _members(archive, len(content), where)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BundleError(f"{where} is damaged or no bundle: {error}") from None
    manifest = _manifest(members.pop(MANIFEST, None), where)
    described = manifest.pop("files")
    del manifest["format"]
    if set(members) != set(described):
        names = ", ".join(sorted(set(members) ^ set(described)))
        raise BundleError(f"{where} is damaged: content and {MANIFEST} do not agree about {names}")
    for name, data in members.items():
        if hashlib.sha256(data).hexdigest() != described[name]["sha256"]:
            raise BundleError(f"{where} is damaged: {name} does not have the SHA-256 that {MANIFEST} says")
    return Bundle(manifest, members)


def _members(archive: zipfile.ZipFile, size: int, where: str) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise BundleError(f"{where} has {len(infos)} members; a bundle has at most {MOST_MEMBERS}")
    if sum(info.file_size for info in infos) > size:
        raise BundleError(f"{where} is unsafe: its members overlap")
    found: dict[str, bytes] = {}
    for info in infos:
        name = info.filename
        if not _NAME.fullmatch(name):
            raise BundleError(f"{where} is unsafe: it has a member named {name!r}")
        if name in found:
            raise BundleError(f"{where} is unsafe: it has two members named {name!r}")
        if info.compress_type != zipfile.ZIP_STORED:
            raise BundleError(f"{where} is no bundle: its member {name} is compressed")
        found[name] = archive.read(info)
    return found


def _manifest(data: bytes | None, where: str) -> dict[str, Any]:
    if data is None:
        raise BundleError(f"{where} is no bundle: it has no {MANIFEST}")
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where} is damaged: {MANIFEST}: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        version = manifest.get("format") if isinstance(manifest, dict) else None
        raise BundleError(
            f"{where} is a bundle of format {version!r}, this version of codesign reads {FORMAT}; build it again"
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(
        isinstance(f, dict) and {"bytes", "sha256"} <= set(f) for f in files.values()
    ):
        raise BundleError(f"{where} is damaged: {MANIFEST} does not describe the files")
    return manifest
