"""Store: the records of one run in SQLite, durable the moment they are put."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from codesign.board_loop.result import BoardResult
from codesign.errors import RunError, StorageError
from codesign.place import PROGRAM, called
from codesign.reading import Reading
from codesign.record import Final, Record
from codesign.retraining import Retraining
from codesign.trial import Trial

FILE = "store.sqlite"
VERSION = 5
_OLDEST = 3
"""The oldest version that is read: it lacks tables, which whoever writes adds."""
_APPLICATION = 0x436F4465  # marks a SQLite file as ours
_PATIENCE_S = 10.0  # for a lock that another program holds
# SQLite's codes, the extended ones where their low byte alone says too little
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REFUSED = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
)
_NO_LOCKS = (
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_SHMMAP,
)
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS records (number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS revived (digest TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trials (number INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS finals (digest TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS retrainings (number INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS boards (number INTEGER PRIMARY KEY, digest TEXT NOT NULL, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS generations (number INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS readings (number INTEGER PRIMARY KEY, digest TEXT NOT NULL, json TEXT NOT NULL) STRICT;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
COMMIT;
"""


class Store:
    """One run's database; a context manager.

    :meth:`open` gives the one writer, :meth:`read` any number of readers beside it, :meth:`append` what adds a board's
    result or an instrument's reading beside both. Records are only ever added: what becomes of a dropped one later is
    another one.
    Raises RunError for a store that cannot be used, StorageError when the disk refuses; what was put before stays.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, folder: Path) -> Store:
        """The writer, made if missing; RunError naming the process that already writes."""
        path = folder / FILE
        lock = _take_lock(folder)
        try:
            with _explained(path):
                # autocommit: every statement is durable when it returns
                connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
            store = cls(path, connection, lock)
        except BaseException:
            os.close(lock)
            raise
        try:
            store._prepare()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def read(cls, folder: Path) -> Store:
        """A reader, also while a search writes; RunError where there is no store."""
        path = folder / FILE
        if not path.is_file():
            raise RunError(f"no store in {folder}: nothing was searched there yet; start with: {PROGRAM} search")
        with _explained(path, reading=True):
            store = cls(path, _connect_reader(path), None)
        try:
            with _explained(path, reading=True):
                if store._is_empty():  # a search was killed in its first instant
                    raise RunError(f"{folder} holds no search yet; start with: {PROGRAM} search")
                store._check_version()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def append(cls, folder: Path) -> Store:
        """For a board's result or a reading, also while a search writes: SQLite lets one write after the other.

        Everything else is the one writer's, whose lock this neither takes nor waits for. RunError without a store.
        """
        cls.read(folder).close()
        path = folder / FILE
        with _explained(path):
            store = cls(path, sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None), None)
            try:
                store._connection.execute("PRAGMA synchronous = FULL")
                store._bring_up_to_date()
            except BaseException:
                store.close()
                raise
        return store

    def _prepare(self) -> None:
        with _explained(self.path):
            execute = self._connection.execute
            if self._is_empty():
                execute("PRAGMA journal_mode = WAL")
                self._connection.executescript(_SCHEMA)
            self._check_version()
            self._bring_up_to_date()
            execute("PRAGMA journal_mode = WAL")
            execute("PRAGMA synchronous = FULL")  # in WAL mode a commit is on the disk only with FULL
            found = execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise _damaged(self.path, found)

    def _is_empty(self) -> bool:
        return bool(self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0)

    def _check_version(self) -> None:
        application = self._connection.execute("PRAGMA application_id").fetchone()[0]
        version = self._version()
        if application != _APPLICATION:
            raise RunError(f"{self.path} is not a store of codesign; move it away, then search again")
        if not _OLDEST <= version <= VERSION:
            raise RunError(
                f"{self.path} is a store of another version of codesign (store version {version}, this one uses "
                f"{VERSION}); use that version, or search under another study.name"
            )

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _has(self, table: str) -> bool:
        """Whether the store has the table; one of an earlier version, which nobody wrote since, may lack it."""
        return bool(
            self._connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
        )

    def _bring_up_to_date(self) -> None:
        if self._version() < VERSION:
            self._connection.executescript(_SCHEMA)

    def put(self, record: Record) -> None:
        """Add a candidate, or what became of one that was dropped; on disk when this returns."""
        new, again = "INSERT INTO records (digest, json) VALUES (?, ?)", "INSERT INTO revived VALUES (?, ?)"
        self._write(new if record.dropped is None else again, record.digest, json.dumps(record.to_json()))

    def records(self) -> list[Record]:
        """All candidates in the order they ended; one that was dropped first has the place that it had then."""
        found = [Record.from_json(values) for values in self._values("SELECT json FROM records ORDER BY number")]
        if not self._has("revived"):
            return found
        later = {one.digest: one for one in map(Record.from_json, self._values("SELECT json FROM revived"))}
        return [replace(later[one.digest], dropped=one) if one.digest in later else one for one in found]

    def get(self, prefix: str) -> Record:
        """The candidate whose digest begins so; RunError when that is none or several."""
        found = [record for record in self.records() if record.digest.startswith(prefix.lower())]
        if not found:
            folder = self.path.parent
            raise RunError(
                f"no candidate {prefix!r} in {folder}; list them with: {PROGRAM} show {called(folder)} --all"
            )
        if len(found) > 1:
            digests = ", ".join(record.digest[:12] for record in found[:4])
            raise RunError(f"{len(found)} candidates begin with {prefix!r} ({digests}); give more digits")
        return found[0]

    def put_trial(self, trial: Trial) -> None:
        """Add what a candidate's short training came to."""
        self._write("INSERT INTO trials (json) VALUES (?)", json.dumps(trial.to_json()))

    def trials(self) -> list[Trial]:
        """All short trainings in the order they ended."""
        if not self._has("trials"):
            return []
        return [Trial.from_json(values) for values in self._values("SELECT json FROM trials ORDER BY number")]

    def put_final(self, final: Final) -> None:
        """Add what was measured of a front member after the search."""
        self._write("INSERT INTO finals VALUES (?, ?)", final.digest, json.dumps(final.to_json()))

    def finals(self) -> dict[str, Final]:
        """Figures added to front members, by digest."""
        found = (Final.from_json(values) for values in self._values("SELECT json FROM finals ORDER BY digest"))
        return {final.digest: final for final in found}

    def put_retraining(self, training: Retraining) -> None:
        """Add a training of a front member after the search."""
        self._write("INSERT INTO retrainings (json) VALUES (?)", json.dumps(training.to_json()))

    def retrainings(self) -> list[Retraining]:
        """Trainings after the search, in the order they ended."""
        if not self._has("retrainings"):
            return []
        return [Retraining.from_json(values) for values in self._values("SELECT json FROM retrainings ORDER BY number")]

    def put_board(self, result: BoardResult) -> None:
        """Add what became of a candidate on a board; of one candidate there may be any number."""
        self._write("INSERT INTO boards (digest, json) VALUES (?, ?)", result.digest, json.dumps(result.to_json()))

    def boards(self) -> list[BoardResult]:
        """What became of candidates on boards, in the order it was known."""
        return [BoardResult.from_json(values) for values in self._values("SELECT json FROM boards ORDER BY number")]

    def put_reading(self, digest: str, reading: Reading) -> None:
        """Add what an instrument that was asked for said of a candidate; of one candidate there may be any number."""
        self._write("INSERT INTO readings (digest, json) VALUES (?, ?)", digest, json.dumps(reading.to_json()))

    def readings(self) -> list[tuple[str, Reading]]:
        """What instruments said of candidates, each with the candidate's digest, in the order it was known."""
        if not self._has("readings"):
            return []
        found = self._values("SELECT json_array(digest, json(json)) FROM readings ORDER BY number")
        return [(digest, Reading.from_json(values)) for digest, values in found]

    def put_generation(self, number: int, values: dict[str, Any]) -> None:
        """Add what a generation came to; the same again changes nothing (resume replays generations)."""
        self._write("INSERT OR IGNORE INTO generations VALUES (?, ?)", number, json.dumps(values))

    def generations(self) -> list[dict[str, Any]]:
        """What every finished generation came to, in order."""
        return self._values("SELECT json FROM generations ORDER BY number")

    def set_meta(self, key: str, value: Any) -> None:
        """Set a fact of the run (JSON) once; it never changes afterwards."""
        self._write("INSERT INTO meta VALUES (?, ?)", key, json.dumps(value))

    def meta(self, key: str) -> Any:
        """A fact of the run, or None."""
        found = self._values("SELECT value FROM meta WHERE key = ?", key)
        return found[0] if found else None

    def close(self) -> None:
        """Release the file and, for the writer, the run."""
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, statement: str, *values: str | int) -> None:
        with _explained(self.path):
            self._connection.execute(statement, values)

    def _values(self, statement: str, *arguments: str) -> list[Any]:
        with _explained(self.path, reading=True):
            rows = self._connection.execute(statement, arguments).fetchall()
        try:
            return [json.loads(row[0]) for row in rows]
        except ValueError as error:
            raise _damaged(self.path, str(error)) from None


def _connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, beside a writer or where nobody can write.

    SQLite reads a store in WAL mode only with its -wal and -shm files, or where it can make them. Without them the
    database file is all there is, and ``immutable`` says so; with them it would leave out what only the -wal holds.
    """
    uri, wal = f"{path.absolute().as_uri()}?mode=ro", path.with_name(f"{path.name}-wal")
    connection = sqlite3.connect(uri, timeout=_PATIENCE_S, isolation_level=None, uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.Error as error:
        connection.close()
        refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if not refused or wal.exists():
            raise
        return sqlite3.connect(f"{uri}&immutable=1", isolation_level=None, uri=True)
    return connection


def _take_lock(folder: Path) -> int:
    """Lock the run for this process; the kernel releases it however the process ends."""
    path = folder / "lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(f"cannot write in {folder}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise RunError(
            f"{folder} is being searched by process {owner}; wait for it, or watch it with: {PROGRAM} show "
            f"{called(folder)} --follow"
        ) from None
    except OSError as error:  # some network file systems have no locks
        os.close(lock)
        raise _without_locks(path, os.strerror(error.errno or 0)) from None
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        os.close(lock)
        raise StorageError(f"cannot write in {folder}: {error.strerror}") from None
    return lock


@contextmanager
def _explained(path: Path, *, reading: bool = False) -> Iterator[None]:
    """Turn SQLite's errors into ours: a refusing disk, a damaged file and a locked one apart."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        primary = code & 0xFF
        if primary in _DAMAGED:
            raise _damaged(path, str(error)) from None
        if primary in _IN_USE:
            raise RunError(
                f"{path} is in use by another program ({error}); end that program, then run the same command again"
            ) from None
        if code in _NO_LOCKS:
            raise _without_locks(path, str(error)) from None
        if primary in _REFUSED and reading:
            raise StorageError(
                f"cannot read {path}: {error}; give permission to read and write there, or copy the folder and read "
                "the copy"
            ) from None
        if primary in _REFUSED:
            raise StorageError(
                f"cannot store in {path}: {error}; make room (or give write permission) there, then run the same "
                "command again: every candidate stored so far is kept and the search continues"
            ) from None
        raise


def _without_locks(path: Path, reason: str) -> StorageError:
    return StorageError(f"cannot lock {path}: {reason}; runs need a file system with locks: search on a local disk")


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(f"{path} is damaged ({reason}); put back a copy of the folder, or move it away and search again")
