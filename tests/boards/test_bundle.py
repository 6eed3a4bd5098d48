"""Bundles: the same bytes for the same content, and nothing is taken from a file that is not what it says."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from boards import bundle
from boards.bundle import MANIFEST, Bundle, parse_bundle, read_bundle
from codesign.errors import BundleError, StorageError

ROOT = Path(__file__).resolve().parents[2]
MADE = Bundle(
    {"board": "pynq-z1", "clock_mhz": 100.0, "figures": {"lut": {"value": 12.5, "provenance": "routed"}}},
    {"cdg_1.bit": bytes(range(256)) * 9, "cdg_1.hwh": b"<EDKSYSTEM/>", "golden/inputs.npy": b"\x93NUMPY"},
)


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "made.zip"
    MADE.write(path)
    assert read_bundle(path) == MADE
    assert list(tmp_path.iterdir()) == [path]


def test_the_manifest_names_every_file_with_its_sum():
    with zipfile.ZipFile(io.BytesIO(MADE.content())) as archive:
        assert archive.namelist() == [MANIFEST, "cdg_1.bit", "cdg_1.hwh", "golden/inputs.npy"]
        manifest = json.loads(archive.read(MANIFEST))
    assert manifest["format"] == 1
    assert manifest["files"] == {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in MADE.files.items()
    }


def test_the_same_content_gives_the_same_bytes():
    """In whatever order it was put together, at whatever time, in whatever process."""
    reordered = Bundle(dict(reversed(MADE.manifest.items())), dict(reversed(MADE.files.items())))
    assert reordered.content() == MADE.content()
    program = (
        "import hashlib, sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_bundle import MADE; print(hashlib.sha256(MADE.content()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT), str(Path(__file__).parent)],
        env={**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(MADE.content()).hexdigest()


def archive_of(members, compression=zipfile.ZIP_STORED):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, data in members:
            archive.writestr(name, data, compression)
    return written.getvalue()


def manifest(files, /, **changes):
    described = {n: {"bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in files.items()}
    return (MANIFEST, json.dumps({"format": 1, "files": described, **changes}))


FILES = {"a.bit": b"abc"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "b is damaged or no bundle: File is not a zip file"),
        (b"hello", "b is damaged or no bundle: File is not a zip file"),
        (archive_of([("a.bit", b"abc")]), "b is no bundle: it has no manifest.json"),
        (archive_of([(MANIFEST, b"{"), *FILES.items()]), "b is damaged: manifest.json: Expecting property name"),
        (archive_of([(MANIFEST, b"[" * 100_000)]), "b is damaged: manifest.json: "),
        (
            archive_of([(MANIFEST, b"[]")]),
            "b is a bundle of format None, this version of codesign reads 1; build it again",
        ),
        (
            archive_of([manifest(FILES, format=2), *FILES.items()]),
            "b is a bundle of format 2, this version of codesign reads",
        ),
        (
            archive_of([manifest(FILES, files=["a.bit"]), *FILES.items()]),
            "b is damaged: manifest.json does not describe",
        ),
        (
            archive_of([manifest(FILES), ("a.bit", b"abd")]),
            "b is damaged: a.bit does not have the SHA-256 that manifest",
        ),
        (archive_of([manifest(FILES)]), "b is damaged: content and manifest.json do not agree about a.bit"),
        (
            archive_of([manifest(FILES), *FILES.items(), ("x", b"")]),
            "b is damaged: content and manifest.json do not agree ab",
        ),
        (
            archive_of([manifest(FILES), *FILES.items()], zipfile.ZIP_DEFLATED),
            "b is no bundle: its member manifest.json is",
        ),
    ],
)
def test_what_is_no_bundle(content, message):
    with pytest.raises(BundleError, match=f"^{re.escape(message)}"):
        parse_bundle(content, "b")


@pytest.mark.parametrize(
    "name",
    [
        "../a.bit",
        "/etc/passwd",
        "a/../../b",
        "C:\\a",
        "a\\b",
        "a//b",
        ".hidden",
        "a/.ssh/x",
        "a\nb",
        "~/x",
        "a/",
        "ä",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    files = {name: b"abc"}
    with pytest.raises(BundleError, match=r"^b is (unsafe: it has a member named|damaged or no bundle)"):
        parse_bundle(archive_of([manifest(files), *files.items()]), "b")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused():
    with pytest.raises(BundleError, match=r"^b is unsafe: it has two members named 'a.bit'; build it again$"):
        parse_bundle(archive_of([manifest(FILES), *FILES.items(), *FILES.items()]), "b")


def test_members_that_overlap_are_refused():
    """The same bytes under many names would become as many copies."""
    content = bytearray(archive_of([manifest(FILES), ("a.bit", b"a" * 500), ("b.bit", b"b" * 500)]))
    first, second = (entry.start() for entry in list(re.finditer(b"PK\x01\x02", content))[1:3])
    content[second + 42 : second + 46] = content[first + 42 : first + 46]  # where the member is
    for size in (20, 24):  # and that it is all of the file
        content[first + size : first + size + 4] = len(content).to_bytes(4, "little")
    with pytest.raises(BundleError, match=r"^b is (unsafe: its members overlap|damaged)"):
        parse_bundle(bytes(content), "b")


def test_any_damaged_byte_is_noticed():
    """Or it is one that nobody reads, and everything read is still as it was."""
    content = MADE.content()
    rng = random.Random(5)
    for _ in range(400):
        place = rng.randrange(len(content))
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        try:
            found = parse_bundle(bytes(changed), "b")
        except BundleError:
            continue
        assert found == MADE, place


def test_a_truncated_one_is_noticed():
    content = MADE.content()
    for length in range(0, len(content), 37):
        with pytest.raises(BundleError):
            parse_bundle(content[:length], "b")


def test_what_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MOST_BYTES", 1 << 20)
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(BundleError, match=r"large.zip has more than 1 MiB; it is no bundle$"):
        read_bundle(path)


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(BundleError, match=r"^cannot read .*no.zip: No such file or directory$"):
        read_bundle(tmp_path / "no.zip")
    with pytest.raises(
        StorageError, match=r"^cannot write .*x.zip: No such file or directory; make room there, then run"
    ):
        MADE.write(tmp_path / "no" / "x.zip")
