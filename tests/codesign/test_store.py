from __future__ import annotations

import errno
import itertools
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from analytic_evaluation import figure

from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.errors import RunError, StorageError
from codesign.measurement import Measurement
from codesign.record import Final, Record
from codesign.run import find_run
from codesign.store import FILE, VERSION, Store, _explained


def record(units=8, status="ok"):
    architecture = Architecture(4, 2, 1, (DenseLayer(units, "ternary"),), True, Hardware("folded", 8))
    return Record(
        architecture,
        status,
        reason="" if status == "ok" else "yosys ended with exit code 1",
        log="",
        measurement=Measurement({"lut": figure(units, "LUT")}) if status == "ok" else None,
        artefacts={"netlist": "ab" * 32},
        seconds={"training": 1.5},
        peak_memory_mib=100.5,
        generation=2,
        index=3,
    )


@pytest.mark.parametrize("status", ["ok", "failed", "infeasible"])
def test_records_come_back_equal(tmp_path, status):
    with Store.open(tmp_path) as store:
        store.put(record(status=status))
    with Store.read(tmp_path) as store:
        assert store.records() == [record(status=status)]


def test_what_becomes_of_a_dropped_candidate_stands_beside_it(tmp_path):
    dropped = replace(record(4), status="dropped", reason="others promise more", generation=1)
    built = replace(record(4), generation=3, index=9, dropped=dropped)
    with Store.open(tmp_path) as store:
        for one in (dropped, record(5), built):
            store.put(one)
    with Store.read(tmp_path) as store:
        found = store.records()
        assert found == [built, record(5)]
        assert store.get(built.digest) == built
    assert [found[0].as_of(generation) for generation in range(5)] == [None, dropped, dropped, built, built]
    assert "dropped" not in built.to_json()


def test_a_store_of_an_earlier_version_is_read_and_brought_up_to_date(tmp_path):
    with Store.open(tmp_path) as store:
        store.put(record(4))
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("DROP TABLE revived")
        connection.execute("PRAGMA user_version = 4")
    with Store.read(tmp_path) as store:
        assert store.records() == [record(4)]
    dropped = replace(record(6), status="dropped", reason="others promise more")
    with Store.open(tmp_path) as store:
        store.put(dropped)
        store.put(replace(record(6), generation=3, dropped=dropped))
        assert [one.status for one in store.records()] == ["ok", "ok"]


def test_everything_else_comes_back_equal(tmp_path):
    finals = [Final("aa", Measurement({"test_error": figure(0.1, "")}), seconds={"total": 2.0}),
              Final("bb", None, "differs", "log")]  # fmt: skip
    with Store.open(tmp_path) as store:
        for final in finals:
            store.put_final(final)
        store.put_generation(1, {"number": 1})
        store.put_generation(0, {"number": 0})
        store.put_generation(0, {"number": "not again"})
        store.set_meta("reference", [1.0, 2.5])
    with Store.read(tmp_path) as store:
        assert store.finals() == {final.digest: final for final in finals}
        assert store.generations() == [{"number": 0}, {"number": 1}]
        assert store.meta("reference") == [1.0, 2.5]
        assert store.meta("other") is None


def test_a_reader_sees_what_the_writer_has_put(tmp_path):
    with Store.open(tmp_path) as writer, Store.read(tmp_path) as reader:
        assert reader.records() == []
        writer.put(record())
        assert reader.records() == [record()]


def test_a_reader_cannot_write(tmp_path):
    Store.open(tmp_path).close()
    with Store.read(tmp_path) as reader, pytest.raises(StorageError, match="attempt to write a readonly database"):
        reader.put(record())


@pytest.fixture
def read_only(monkeypatch):
    """Make a folder unwritable to this process, also when it is root; it needs a place others can read."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:

        def protect():
            Path(folder).chmod(0o555)
            if user == 0:
                os.seteuid(65534)

        yield Path(folder), protect
        os.seteuid(user)
        Path(folder).chmod(0o755)


def test_a_reader_where_nobody_can_write(read_only):
    folder, protect = read_only
    with Store.open(folder) as store:
        store.put(record())
    assert not (folder / f"{FILE}-wal").exists()
    protect()
    with Store.read(folder) as store:
        assert store.records() == [record()]


def test_a_reader_where_it_cannot_write_sees_what_only_the_wal_holds(read_only):
    folder, protect = read_only
    kill_after_put(folder)
    assert (folder / f"{FILE}-wal").stat().st_size > 0
    protect()
    with Store.read(folder) as store:
        assert store.records() == [record()]


def test_a_wal_that_cannot_be_read_is_not_left_out(read_only):
    folder, protect = read_only
    kill_after_put(folder)
    (folder / f"{FILE}-shm").unlink()
    protect()
    expected = (
        f"cannot read {folder / FILE}: unable to open database file; give permission to read and write there, or "
        "copy the folder and read the copy"
    )
    with pytest.raises(StorageError, match=f"^{re.escape(expected)}$"):
        Store.read(folder)


@pytest.mark.parametrize("opening", [Store.open, Store.read])
def test_a_store_that_another_program_has_locked(tmp_path, monkeypatch, opening):
    monkeypatch.setattr("codesign.store._PATIENCE_S", 0.05)
    Store.open(tmp_path).close()
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    expected = (
        f"{tmp_path / FILE} is in use by another program (database is locked); end that program, then run the same "
        "command again"
    )
    with pytest.raises(RunError, match=f"^{re.escape(expected)}$"):
        opening(tmp_path)
    other.close()
    opening(tmp_path).close()


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(_descriptor, _operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    Store.open(tmp_path).close()
    advice = "runs need a file system with locks: search on a local disk"
    monkeypatch.setattr("codesign.store.fcntl.flock", refuse)
    expected = f"cannot lock {tmp_path / 'lock'}: No locks available; {advice}"
    with pytest.raises(StorageError, match=f"^{re.escape(expected)}$"):
        Store.open(tmp_path)
    error = sqlite3.OperationalError("locking protocol")
    error.sqlite_errorcode = sqlite3.SQLITE_PROTOCOL
    expected = f"cannot lock {tmp_path / FILE}: locking protocol; {advice}"
    with pytest.raises(StorageError, match=f"^{re.escape(expected)}$"), _explained(tmp_path / FILE):
        raise error


def test_the_newest_run_is_found_while_a_search_ends(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    Store.open(folder).close()
    (folder / f"{FILE}-wal").symlink_to("gone")  # listed, but there is nothing to look at
    assert find_run() == Path("runs/one")


def test_get_by_the_beginning_of_the_digest(tmp_path):
    with Store.open(tmp_path) as store:
        records = [record(units) for units in range(1, 40)]
        for one in records:
            store.put(one)
        assert store.get(records[3].digest[:10].upper()) == records[3]
        with pytest.raises(
            RunError,
            match=rf"^no candidate 'xyz' in {tmp_path}; list them with: python -m codesign show {tmp_path} --all$",
        ):
            store.get("xyz")
        first = sorted(one.digest for one in records)
        common = next(a[0] for a, b in itertools.pairwise(first) if a[0] == b[0])
        with pytest.raises(RunError, match=rf"^\d+ candidates begin with '{common}' \(.*\); give more digits$"):
            store.get(common)


def test_a_second_writer_is_refused_naming_the_first(tmp_path):
    expected = (
        f"{tmp_path} is being searched by process {os.getpid()}; wait for it, or watch it with: "
        f"python -m codesign show {tmp_path} --follow"
    )
    with Store.open(tmp_path), pytest.raises(RunError, match=f"^{re.escape(expected)}$"):
        Store.open(tmp_path)
    Store.open(tmp_path).close()


def kill_after_put(folder):
    """A process that is killed after it has stored a record."""
    script = (
        "import os, sys; from pathlib import Path; from codesign.store import Store; from test_store import record\n"
        "store = Store.open(Path(sys.argv[1])); store.put(record()); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", script, folder], env=environment, check=False)
    assert ended.returncode == -9


def test_kill_releases_the_lock_and_keeps_what_was_put(tmp_path):
    kill_after_put(tmp_path)
    with Store.open(tmp_path) as store:
        assert store.records() == [record()]


def test_no_store(tmp_path):
    expected = f"no store in {tmp_path}: nothing was searched there yet; start with: python -m codesign search"
    with pytest.raises(RunError, match=f"^{re.escape(expected)}$"):
        Store.read(tmp_path)


def test_a_store_killed_while_it_was_made(tmp_path):
    (tmp_path / FILE).touch()
    with pytest.raises(RunError, match=rf"^{tmp_path} holds no search yet; start with: python -m codesign search$"):
        Store.read(tmp_path)
    with Store.open(tmp_path) as store:
        store.put(record())


@pytest.mark.parametrize("opening", [Store.open, Store.read])
def test_a_store_of_another_version(tmp_path, opening):
    Store.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    expected = (
        f"{tmp_path / FILE} is a store of another version of codesign (store version 7, this one uses {VERSION}); use "
        "that version, or search under another study.name"
    )
    with pytest.raises(RunError, match=f"^{re.escape(expected)}$"):
        opening(tmp_path)


@pytest.mark.parametrize("opening", [Store.open, Store.read])
def test_another_program_s_database(tmp_path, opening):
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE something (x)")
    connection.close()
    expected = f"{tmp_path / FILE} is not a store of codesign; move it away, then search again"
    with pytest.raises(RunError, match=f"^{re.escape(expected)}$"):
        opening(tmp_path)


@pytest.mark.parametrize("opening", [Store.open, Store.read])
def test_a_file_that_is_no_database(tmp_path, opening):
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be looked at" * 50)
    expected = (
        f"{tmp_path / FILE} is damaged (file is not a database); put back a copy of the folder, or move it away and "
        "search again"
    )
    with pytest.raises(RunError, match=f"^{re.escape(expected)}$"):
        opening(tmp_path)


def test_damage_inside_is_found_when_opening(tmp_path):
    with Store.open(tmp_path) as store:
        for units in range(1, 60):
            store.put(record(units))
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 256] = b"\xff" * 256
    path.write_bytes(data)
    with pytest.raises(RunError, match=rf"^{path} is damaged \(.+\); put back a copy of the folder, or move it away"):
        Store.open(tmp_path)
    with Store.read(tmp_path) as reader, pytest.raises(RunError, match=rf"^{path} is damaged \("):
        reader.records()


def test_a_record_that_is_no_json_is_damage(tmp_path):
    with Store.open(tmp_path) as store:
        store.put(record())
        store._connection.execute("UPDATE records SET json = '{'")
        with pytest.raises(RunError, match="is damaged"):
            store.records()


def test_a_full_disk_keeps_what_was_put(tmp_path):
    with Store.open(tmp_path) as store:
        store.put(record(1))
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "database or disk is full"
        put = []

        def put_until_full():
            for units in range(2, 100):
                store.put(record(units))
                put.append(units)

        with pytest.raises(StorageError) as caught:
            put_until_full()
    assert str(caught.value) == (
        f"cannot store in {tmp_path / FILE}: database or disk is full; make room (or give write permission) there, "
        "then run the same command again: every candidate stored so far is kept and the search continues"
    )
    assert caught.value.exit_code == 2
    with Store.open(tmp_path) as store:
        assert store.records() == [record(units) for units in (1, *put)]
        store.put(record(99))


def test_writes_reach_the_disk_before_put_returns(tmp_path):
    with Store.open(tmp_path) as store:
        assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert store._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert not store._connection.in_transaction
