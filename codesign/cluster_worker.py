"""What runs on the machines of a cluster; see :mod:`codesign.cluster` for the other side.

A dask worker evaluates nothing itself: it keeps one process of :mod:`codesign.workers` and hands it one job at a time.
So a candidate is evaluated the same way everywhere: in a process that is ended with all of its tools when it takes too
long, which dask cannot do to a task, and whose death dask does not notice.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import pickle
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from codesign.artifacts import FOLDER, ArtifactStore
from codesign.cli import version
from codesign.errors import CodesignError, StorageError, ToolError
from codesign.place import PACKAGES
from codesign.worker_process import Handler
from codesign.workers import Outcome, WorkerEnded, WorkerPool
from hw.measure.tools import Tool, find_verilator, find_yosys

_IDLE_SECONDS = 300.0  # after so long without a job its process ends: the search may be over, or its coordinator gone
_POLL_SECONDS = 0.2
_SHOWN_AFTER = 0.5  # stages shorter than this (seconds) are not reported
_CODE = (".py", ".sv", ".cpp", ".toml", ".tcl", ".vlt", ".sh")
_DECISIVE = ("tensorflow-cpu", "tf_keras", "QKeras", "hls4ml", "numpy", "scipy", "scikit-learn")
"""Packages that training, conversion or the data of a candidate go through."""


@functools.cache
def fingerprint() -> dict[str, str]:
    """By name, the versions of all that two machines must have in common to give the same figures.

    Every source file of our packages goes into ``code``. Plain text, so that any version can read that of any other.
    """
    sha = hashlib.sha256()
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        root = Path(spec.submodule_search_locations[0])
        for path in sorted(path for path in root.rglob("*") if path.suffix in _CODE):
            content = path.read_bytes()
            sha.update(f"{package}/{path.relative_to(root)} {len(content)}\n".encode() + content)
    found = {"codesign": version(), "code": sha.hexdigest()[:12]}
    found["Python"] = ".".join(platform.python_version_tuple()[:2])
    found |= {name: _installed(name) for name in _DECISIVE}
    return found | {name: _tool(find) for name, find in (("yosys", find_yosys), ("verilator", find_verilator))}


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _tool(find: Callable[[], Tool]) -> str:
    try:
        return find().version
    except ToolError:
        return "missing"


@dataclass(frozen=True)
class Session:
    """One search, as its workers know it: they open it with its first job.

    ``factory`` is pickled, once for all jobs: it gives the factory of handlers for a folder.
    """

    name: str
    factory: bytes
    limit_seconds: float


@dataclass(frozen=True)
class Parcel:
    """A job or its outcome, with the artefacts that go with it: no file system is shared."""

    content: Any
    files: Mapping[str, bytes] = field(default_factory=dict)


def pack(content: Any, named_by: Sequence[Any], store: ArtifactStore) -> Parcel:
    """``content`` with the artefacts from ``store`` that records or finals name; others, such as None, name none."""
    digests = {digest for one in named_by for digest in getattr(one, "artefacts", {}).values()}
    return Parcel(content, {digest: store.get(digest) for digest in digests})


def unpack(parcel: Parcel, store: ArtifactStore) -> Any:
    """The content, once its artefacts are in ``store``; ValueError where one arrived damaged."""
    for digest, data in parcel.files.items():
        if store.put(data) != digest:
            raise ValueError(f"artefact {digest[:12]} arrived damaged")
    return parcel.content


class _Bench:
    """The process of this worker and its folder, for one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.stage, self.since = "starting", time.monotonic()
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="codesign-"))
        except OSError as error:
            raise StorageError(f"no folder for candidates can be made: {error}; make room, or set TMPDIR") from error
        make: Callable[[Path], Handler] = pickle.loads(session.factory)  # noqa: S301  # sent by our own coordinator
        factory = functools.partial(make, self.folder)
        self.pool = WorkerPool(1, factory, limit_seconds=session.limit_seconds, on_stage=self._on_stage)

    def do(self, key: str, parcel: Parcel, report: Callable[[str], None], is_wanted: Callable[[], bool]) -> Parcel:
        """One job, from its arrival until its outcome can leave."""
        store = ArtifactStore(self.folder)
        job, told = unpack(parcel, store), ""
        submitted = False
        while is_wanted():
            if not submitted and self.pool.idle():
                self.pool.submit(key, job)
                submitted = True
            for outcome in self.pool.wait(_POLL_SECONDS):
                found = outcome.result if isinstance(outcome.result, tuple) else (outcome.result,)
                packed = pack(outcome, found, store)
                shutil.rmtree(self.folder / FOLDER, ignore_errors=True)
                return packed
            if self.stage != told and time.monotonic() - self.since > _SHOWN_AFTER:
                told = self.stage
                report(told)
        raise WorkerEnded("nobody waits for this job any more")

    def close(self) -> None:
        self.pool.terminate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _on_stage(self, _number: int, stage: str, _key: str | None) -> None:
        self.stage, self.since = stage, time.monotonic()


class _Place:
    """Where this worker's bench is, if it has one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bench: _Bench | None = None
        self._timer = threading.Timer(0, self.clear)

    def do(
        self, session: Session, key: str, parcel: Parcel, report: Callable[[str], None], is_wanted: Callable[[], bool]
    ) -> Parcel:
        with self._lock:
            self._timer.cancel()
            try:
                if self._bench is None or self._bench.session.name != session.name:
                    self._end()
                    self._bench = _Bench(session)
                return self._bench.do(key, parcel, report, is_wanted)
            except BaseException:
                self._end()
                raise
            finally:
                self._timer = threading.Timer(_IDLE_SECONDS, self.clear)
                self._timer.daemon = True
                self._timer.start()

    def clear(self) -> None:
        """End the process, unless it just got another job."""
        if self._lock.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._lock.release()

    def _end(self) -> None:
        if self._bench is not None:
            self._bench.close()
            self._bench = None


_PLACE = _Place()


def greet() -> dict[str, str]:
    """The worker's fingerprint; asked before its first job."""
    return fingerprint()


def do(session: Session, key: str, parcel: Parcel) -> Parcel:
    """Do a job; gives a parcel with its Outcome. Raises what makes all work on this worker pointless."""
    from distributed import get_worker

    worker = get_worker()
    task = worker.get_current_task()

    def report(stage: str) -> None:
        worker.log_event(session.name, {"worker": worker.address, "key": key, "stage": stage})

    def is_wanted() -> bool:
        state = worker.state.tasks.get(task)
        return state is not None and state.state == "executing"

    try:
        return _PLACE.do(session, key, parcel, report, is_wanted)
    except WorkerEnded as error:
        return Parcel(Outcome(key, reason=str(error), retry=True))
    except CodesignError as error:
        return Parcel(error)
