"""The archive of a bundle, read with nothing in it trusted: names, sizes and sums come before content.

One file for both sides: the board reads bundles with it, and boards/bundle.py on the host.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from typing import Any

FORMAT = 1
MANIFEST = "manifest.json"
GOLDEN_INPUTS, GOLDEN_OUTPUTS = "golden/inputs.npy", "golden/outputs.npy"
MOST_MEMBERS = 1000
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class ArchiveError(Exception):
    """What is wrong with an archive, as the end of a sentence that begins with its name."""


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal digits; that of a whole bundle is its name on the board."""
    return hashlib.sha256(content).hexdigest()


def read_archive(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest of a bundle's bytes and its other members by name; ArchiveError where it is not a whole bundle."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _members(archive, len(content))
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError) as error:  # RuntimeError: features zipfile lacks
        raise ArchiveError(f"is damaged or no bundle: {error}") from None
    manifest = _manifest(members.pop(MANIFEST, None))
    described = manifest["files"]
    if set(members) != set(described):
        names = ", ".join(sorted(set(members) ^ set(described)))
        raise ArchiveError(f"is damaged: content and {MANIFEST} do not agree about {names}")
    for name, data in members.items():
        if sha256(data) != described[name]["sha256"]:
            raise ArchiveError(f"is damaged: {name} does not have the SHA-256 that {MANIFEST} says")
    return manifest, members


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise ArchiveError(f"has {len(infos)} members; a bundle has at most {MOST_MEMBERS}")
    if sum(info.file_size for info in infos) > size:
        raise ArchiveError("is unsafe: its members overlap")
    found: dict[str, bytes] = {}
    for info in infos:
        name = info.filename
        if not NAME.fullmatch(name):
            raise ArchiveError(f"is unsafe: it has a member named {name!r}")
        if name in found:
            raise ArchiveError(f"is unsafe: it has two members named {name!r}")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ArchiveError(f"is no bundle: its member {name} is compressed")
        found[name] = archive.read(info)
    return found


def _manifest(data: bytes | None) -> dict[str, Any]:
    if data is None:
        raise ArchiveError(f"is no bundle: it has no {MANIFEST}")
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"is damaged: {MANIFEST}: {error}") from None
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or type(version) is not int or version != FORMAT:
        raise ArchiveError(f"is a bundle of format {version!r}, this version of codesign reads {FORMAT}")
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(
        isinstance(f, dict) and {"bytes", "sha256"} <= set(f) for f in files.values()
    ):
        raise ArchiveError(f"is damaged: {MANIFEST} does not describe the files")
    return manifest
