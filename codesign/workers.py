"""Worker processes: started once, each builds its handler and then does one job at a time.

A worker is a fresh Python (a fork after TensorFlow has run an operation hangs) in its own process group together with
the tools it starts. The coordinator ends a group as a whole; a worker whose coordinator is gone, however it ended, ends
its own group. Terminal signals reach the coordinator only. A worker's temporary files go with it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import IO, Any, Self

from codesign.errors import CodesignError, ToolError
from codesign.place import PROGRAM
from codesign.worker_process import BOOT, SINGLE_THREADED, Handler

_LOG_TAIL = 8192  # bytes of a worker's output kept with a failure
START_SECONDS = 300.0  # importing TensorFlow takes 4-9 s on an idle machine, and many times that on a busy one
_ENDED_BY_SOMEONE = (signal.SIGTERM, signal.SIGHUP)
_STARTS = 3  # workers that may die before they are ready, in a row, before the search gives up


class WorkerEnded(CodesignError):  # noqa: N818  # no fault of anything
    """Someone ended a worker: that says nothing of its job."""


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its result, or why it has none; ``retry`` where that may be the worker's fault."""

    key: str
    result: Any = None
    reason: str = ""
    retry: bool = False
    log: str = ""
    seconds: float = 0.0


@dataclass
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    connection: Connection
    lifeline: int
    output: IO[bytes]
    scratch: str
    ready: bool = False
    key: str | None = None
    stage: str = "starting"
    since: float = field(default_factory=time.monotonic)


StageListener = Callable[[int, str, str | None], None]
"""Called with the worker's number, its stage, and the key of its job (None while idle)."""


def default_workers() -> int:
    """All cores that this process may use."""
    return len(os.sched_getaffinity(0))


class WorkerPool:
    """``count`` workers, all started at once; a context manager that leaves no process behind.

    ``factory`` is called once in every worker and gives the handler of its jobs; it and the jobs are pickled. A
    CandidateError, any unexpected exception, a death, or ``limit_seconds`` exceeded gives an Outcome with a reason, and
    a dead worker is replaced. Other errors of ours (a missing tool, a full disk) are raised by :meth:`wait`, and so is
    a worker that someone ended (SIGTERM, SIGHUP): that says nothing of its job.
    """

    def __init__(
        self,
        count: int,
        factory: Callable[[], Handler],
        *,
        limit_seconds: float,
        on_stage: StageListener = lambda _worker, _stage, _key: None,
    ) -> None:
        self._factory = pickle.dumps(factory)
        self._limit = limit_seconds
        self._on_stage = on_stage
        self._early_deaths = 0
        self._fatal: list[CodesignError] = []
        self._workers: list[_Worker] = []
        try:
            for number in range(count):
                self._workers.append(self._start(number))
        except BaseException:
            self.terminate()
            raise

    def idle(self) -> int:
        """Number of workers that take a job now."""
        return sum(worker.ready and worker.key is None for worker in self._workers)

    def running(self) -> list[str]:
        """Keys of the jobs under way."""
        return [worker.key for worker in self._workers if worker.key is not None]

    def submit(self, key: str, job: object) -> None:
        """Give a job to an idle worker."""
        worker = next(worker for worker in self._workers if worker.ready and worker.key is None)
        worker.output.seek(0)
        worker.output.truncate()
        worker.key, worker.since = key, time.monotonic()
        self._set_stage(worker, "preparing")
        with contextlib.suppress(OSError):  # a worker that died while idle: wait() finds it
            worker.connection.send(job)

    def wait(self, timeout: float) -> list[Outcome]:
        """Outcomes of jobs that ended, after at most ``timeout`` seconds (none, if only stages changed).

        What makes all work pointless is raised, once every outcome before it has been returned.
        """
        if self._fatal:
            raise self._fatal[0]
        by_connection = {worker.connection: worker for worker in self._workers}
        outcomes: list[Outcome] = []
        for connection in wait(list(by_connection), timeout):
            assert isinstance(connection, Connection)
            self._receive(by_connection[connection], outcomes)
        for worker in list(self._workers):
            seconds = time.monotonic() - worker.since
            if not worker.ready and seconds > START_SECONDS:
                reason = f"a worker process did not start within {START_SECONDS:g} s"
                advice = f"if the machine is busy, wait or use fewer workers, otherwise try {PROGRAM} doctor"
                self._fatal.append(ToolError(f"{reason}; {advice}"))
            if worker.key is not None and seconds > self._limit:
                reason = f"exceeded the limit of {self._limit:g} s per candidate in stage {worker.stage}"
                outcomes.append(self._replaced(worker, reason))
        if self._fatal and not outcomes:
            raise self._fatal[0]
        return outcomes

    def terminate(self) -> None:
        """End all workers and their tools at once."""
        for worker in self._workers:
            _end(worker)
        self._workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()

    def _start(self, number: int) -> _Worker:
        ours, theirs = Pipe()
        alive, lifeline = os.pipe()  # closes, seen by the worker, when this process is gone
        output = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the worker
        scratch = tempfile.mkdtemp(prefix="codesign-")
        passed = (theirs.fileno(), alive)
        process = subprocess.Popen(
            [sys.executable, "-c", BOOT, *map(str, passed), scratch],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=passed,
            process_group=0,
            env={**os.environ, **SINGLE_THREADED, "TMPDIR": scratch},
        )
        theirs.close()
        os.close(alive)
        worker = _Worker(number, process, ours, lifeline, output, scratch)
        with contextlib.suppress(OSError):  # died at once: wait() finds it
            ours.send(sys.path)
            ours.send_bytes(self._factory)
        self._set_stage(worker, "starting")
        return worker

    def _receive(self, worker: _Worker, outcomes: list[Outcome]) -> None:
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._bury(worker, outcomes)
            return
        if kind == "stage":
            self._set_stage(worker, value)
        elif kind == "fatal":
            assert isinstance(value, CodesignError)
            self._fatal.append(value)
        elif kind == "ready":
            worker.ready, self._early_deaths = True, 0
            self._set_stage(worker, "idle")
        else:
            assert worker.key is not None
            seconds = time.monotonic() - worker.since
            if kind == "result":
                outcomes.append(Outcome(worker.key, result=value, seconds=seconds))
            else:
                reason, log = value
                outcomes.append(Outcome(worker.key, reason=reason, log=log or _tail(worker.output), seconds=seconds))
            worker.key = None
            self._set_stage(worker, "idle")

    def _bury(self, worker: _Worker, outcomes: list[Outcome]) -> None:
        """Replace a worker that died, unless someone wanted it to end."""
        code = worker.process.wait()
        reason = f"{_death(code)} in stage {worker.stage}"
        if -code in _ENDED_BY_SOMEONE:
            self._fatal.append(
                WorkerEnded(
                    f"{reason}: is the machine shut down? What ended before is stored; run the same command "
                    "again to continue"
                )
            )
            return
        if not worker.ready:
            self._count_early_death(worker, reason)
        outcome = self._replaced(worker, reason)
        if worker.key is not None:
            outcomes.append(outcome)

    def _count_early_death(self, worker: _Worker, reason: str) -> None:
        self._early_deaths += 1
        if self._early_deaths >= _STARTS:
            log = _tail(worker.output).strip()
            advice = f"worker processes cannot start: {reason}; try {PROGRAM} doctor"
            self._fatal.append(ToolError(advice + (f"\n{log}" if log else "")))

    def _replaced(self, worker: _Worker, reason: str) -> Outcome:
        seconds = time.monotonic() - worker.since
        outcome = Outcome(worker.key or "", reason=reason, retry=True, log=_tail(worker.output), seconds=seconds)
        _end(worker)
        self._workers[self._workers.index(worker)] = self._start(worker.number)
        return outcome

    def _set_stage(self, worker: _Worker, stage: str) -> None:
        worker.stage = stage
        self._on_stage(worker.number, stage, worker.key)


def _end(worker: _Worker) -> None:
    """Kill the worker's process group; its tools live in it even when the worker itself is already gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    worker.connection.close()
    os.close(worker.lifeline)
    worker.output.close()
    shutil.rmtree(worker.scratch, ignore_errors=True)


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "the worker was killed by SIGKILL (most often: out of memory)"
    if code < 0:
        return f"the worker was killed by {signal.Signals(-code).name}"
    return f"the worker ended with exit code {code}"


def _tail(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), _LOG_TAIL, max(0, size - _LOG_TAIL)).decode(errors="replace")
