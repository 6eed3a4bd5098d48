from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys

import pytest

from codesign.artifacts import ArtifactStore
from codesign.errors import RunError


def test_artefacts_are_named_by_their_content(tmp_path):
    store = ArtifactStore(tmp_path)
    digest = store.put(b"netlist")
    assert digest == hashlib.sha256(b"netlist").hexdigest()
    assert store.put(b"netlist") == digest
    assert store.get(digest) == b"netlist"
    assert [path.name for path in store.path(digest).parent.iterdir()] == [digest]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_who_may_read_an_artefact_follows_the_umask(tmp_path, umask, mode):
    store = ArtifactStore(tmp_path)
    before = os.umask(umask)
    try:
        digest = store.put(b"netlist")
    finally:
        os.umask(before)
    assert store.path(digest).stat().st_mode & 0o777 == mode


def test_a_changed_or_missing_artefact_is_found(tmp_path):
    store = ArtifactStore(tmp_path)
    digest = store.put(b"netlist")
    path = store.path(digest)
    path.write_bytes(b"changed")
    expected = f"artefact {path} is damaged: its content does not match its name"
    with pytest.raises(RunError, match=f"^{re.escape(expected)}$"):
        store.get(digest)
    path.unlink()
    expected = f"artefact {path} cannot be read: No such file or directory"
    with pytest.raises(RunError, match=f"^{re.escape(expected)}$"):
        store.get(digest)


def test_a_full_disk_leaves_no_half_artefact(tmp_path):
    script = (
        "import resource, signal, sys; from pathlib import Path; from codesign.artifacts import ArtifactStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "ArtifactStore(Path(sys.argv[1])).put(b'x' * 5000)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", script, tmp_path], env=environment, check=False, capture_output=True, text=True
    )
    assert ended.stderr.splitlines()[-1] == (
        f"codesign.errors.StorageError: cannot store in {tmp_path / 'artifacts'}: File too large; make room there, "
        "then run the same command again: every candidate stored so far is kept and the search continues"
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
