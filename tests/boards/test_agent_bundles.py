"""Bundles on the board: only what is right is kept, whole, in the agent's own folder."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from pathlib import Path

import pytest
from agent_bundles import made

from boards.agent.archive import sha256
from boards.agent.errors import AgentError
from boards.agent.store import KEPT, Store
from boards.agent.unpack import unpack
from boards.bundle import Bundle


def test_two_bitstreams_never_have_one_name(session, tmp_path):
    """Not even where a bundle says so: the name is made of what is in it."""
    first = made(1)
    files = dict(first.bundle.files)
    files[f"{first.bundle.manifest['stem']}.bit"] += b" "
    other = Bundle(first.bundle.manifest, files)
    agent = session()
    agent.loaded(first)
    contents = unpack(other.content())
    agent.good("put_bundle", other.content(), sha256=contents.digest)
    agent.good("load", sha256=contents.digest)
    names = [entry for entry in agent.fabric.log if entry.startswith("program")]
    assert len(set(names)) == 2
    assert len(list((tmp_path / "agent").glob("cdg_*"))) == 2, "only the pair in use stays"


def rewritten(change):
    """The bundle with members changed after its sums were made."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made().content)) as old, zipfile.ZipFile(written, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return written.getvalue()


def with_manifest(**changes):
    def change(name, data):
        return json.dumps({**json.loads(data), **changes}) if name == "manifest.json" else data

    return rewritten(change)


def with_register(register, **changes):
    registers = json.loads(json.dumps(made().bundle.manifest["registers"]))
    registers[register].update(changes)
    return with_manifest(registers=registers)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the bundle is damaged or no bundle: File is not a zip file; build it again"),
        (lambda: made().content[:-1000], "the bundle is damaged"),
        (lambda: rewritten(lambda n, d: d + b"x" if n.endswith(".bit") else d), "does not have the SHA-256"),
        (lambda: with_manifest(format=2), "format 2, this version of codesign reads 1"),
        (lambda: with_manifest(format="1"), "format '1', this version of codesign reads 1"),
        (lambda: with_manifest(files=None), "manifest.json does not describe the files"),
        (lambda: with_manifest(stem="../../etc/cron.d/x"), "stem '../../etc/cron.d/x'"),
        (lambda: with_manifest(stem="cdg_0123456789abcdef"), "no bitstream and hwh of stem"),
        (lambda: with_manifest(build_id="0" * 32), "among the registers"),
        (lambda: with_manifest(clock_mhz=-1.0), "clock of -1.0 MHz"),
        (lambda: with_manifest(simulation_only=0), "simulation_only 0"),
        (lambda: with_manifest(clock_mhz=None), "clock of None MHz"),
        (lambda: with_manifest(addresses={"dma": 0xF800_0000, "accelerator": 0x4000_0000}), "not in the fabric"),
        (lambda: with_manifest(addresses={"dma": 0x4000_0000, "accelerator": 0x10_0000}), "not in the fabric"),
        (lambda: with_manifest(latency_cycles=1e300), "is not between 1 and"),
        (lambda: with_register("control", offset=0x10_0000), "is not between 0 and 65532"),
        (lambda: with_register("control", offset=-4), "is not between 0 and 65532"),
        (lambda: with_register("magic", offset=2), "registers at odd addresses"),
        (lambda: with_register("word_bits", value=8), "words of 8 bits"),
        (lambda: with_register("input_words", value=0), "frames of no words"),
        (lambda: with_manifest(registers={}), "the bundle's manifest is not of this version"),
    ],
)
def test_a_bundle_that_is_not_right_is_not_kept(session, content, said):
    data = content() if callable(content) else content
    agent = session()
    kind, message = agent.refused("put_bundle", data, sha256=sha256(data))
    assert kind == "bundle"
    assert said in message
    assert agent.good("hello")[0]["bundles"] == []


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "a/../../../outside", ".hidden"])
def test_names_that_are_paths_elsewhere_are_refused(session, tmp_path, name):
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made().content)) as old, zipfile.ZipFile(written, "w") as new:
        manifest = json.loads(old.read("manifest.json"))
        manifest["files"][name] = {"bytes": 3, "sha256": sha256(b"bad")}
        for kept in old.namelist():
            new.writestr(kept, json.dumps(manifest) if kept == "manifest.json" else old.read(kept))
        new.writestr(name, b"bad")
    agent = session()
    kind, message = agent.refused("put_bundle", written.getvalue(), sha256=sha256(written.getvalue()))
    assert (kind, message) == ("bundle", f"the bundle is unsafe: it has a member named {name!r}; build it again")
    assert not Path("/tmp/outside").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"agent"}
    assert agent.good("hello")[0]["bundles"] == []


def test_what_has_no_bitstream_is_loaded_by_simulations_only(session):
    content, agent = with_manifest(simulation_only=True), session()
    agent.good("put_bundle", content, sha256=sha256(content))
    kind, message = agent.refused("load", sha256=sha256(content))
    assert kind == "bundle"
    assert message == "the bundle was made for a virtual board and has no bitstream; build it with Vivado"
    agent.fabric.simulated = True
    agent.good("load", sha256=sha256(content))


def test_what_arrives_changed_is_not_kept(session):
    agent = session()
    kind, message = agent.refused("put_bundle", made().content, sha256="0" * 64)
    assert kind == "bundle"
    assert message.startswith("bundle 0000000000000000 arrived with SHA-256 ")


def test_only_so_many_bundles_are_kept(session):
    agent = session()
    digests = []
    for clock in range(KEPT + 3):
        content = with_manifest(clock_mhz=100.0 + clock)
        digests.append(sha256(content))
        agent.good("put_bundle", content, sha256=digests[-1])
    assert agent.good("hello")[0]["bundles"] == digests[3:]
    agent.good("load", sha256=digests[3])  # in use: the next one goes instead
    content = with_manifest(clock_mhz=99.0)
    agent.good("put_bundle", content, sha256=sha256(content))
    assert agent.good("hello")[0]["bundles"] == [*digests[5:], digests[3], sha256(content)]


def test_a_bundle_damaged_on_the_disk_is_not_loaded(session, tmp_path):
    subject, agent = made(), session()
    agent.good("put_bundle", subject.content, sha256=subject.digest)
    path = tmp_path / "agent" / f"{subject.digest}.zip"
    path.write_bytes(path.read_bytes()[:-1])
    assert agent.refused("load", sha256=subject.digest) == (
        "storage",
        f"bundle {subject.digest[:16]} was damaged on the board's disk; send it again",
    )
    agent.loaded(subject)


@pytest.mark.parametrize("how", ["space", "write"])
def test_a_full_disk_is_said_and_leaves_what_was_there(session, tmp_path, monkeypatch, how):
    first, second, agent = made(1), made(2), session()
    agent.loaded(first)
    before = sorted(path.name for path in (tmp_path / "agent").iterdir())
    if how == "space":
        monkeypatch.setattr(Store, "free_bytes", lambda _: 1000)
    else:
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    kind, message = agent.refused("put_bundle", second.content, sha256=second.digest)
    assert kind == "storage"
    assert message.startswith("the board's disk refuses: No space left on device; ")
    assert sorted(path.name for path in (tmp_path / "agent").iterdir()) == before
    agent.good("run", first.words(2).tobytes())


@pytest.mark.parametrize("kind", ["file", "link", "writable"])
def test_a_folder_that_is_not_the_agents_own_is_refused(tmp_path, kind):
    folder = tmp_path / "agent"
    if kind == "file":
        folder.write_text("")
    elif kind == "link":
        (tmp_path / "other").mkdir()
        folder.symlink_to(tmp_path / "other")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(AgentError, match=r"is not a folder of the agent's own|File exists"):
        Store(folder)


def test_the_order_of_use_survives_a_clock_that_was_set_back(tmp_path):
    store = Store(tmp_path / "board")
    first, second = b"first", b"second"
    store.put(first)
    ahead = time.time_ns() + 10**12
    os.utime(tmp_path / "board" / f"{sha256(first)}.zip", ns=(ahead, ahead))
    store.put(second)
    assert store.bundles() == [sha256(first), sha256(second)]
    store.get(sha256(first))
    assert store.bundles() == [sha256(second), sha256(first)]
