"""Workers on other machines, reached through a dask.distributed scheduler; the pool of ``--cluster``.

Dask carries jobs and answers; candidates are evaluated by :mod:`codesign.cluster_worker`. Every task is bound to one
worker, so that it is this pool and not dask that decides what is tried again, and where. Of a search's files only this
side writes any: artefacts travel with the jobs.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import pickle
import queue
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codesign.artifacts import ArtifactStore
from codesign.cluster_worker import Parcel, Session, do, fingerprint, greet, pack, unpack
from codesign.errors import CodesignError, InputError, ToolError
from codesign.listener import GONE
from codesign.worker_process import Handler
from codesign.workers import START_SECONDS, Outcome, StageListener

_CONNECT_SECONDS = 5
_PATIENCE_SECONDS = 60  # with a scheduler that is there and busy; one that is gone refuses to connect at once
_LOOK_SECONDS = 1.0  # between two looks at who is in the cluster
_FETCH_SECONDS = 60  # for an answer to arrive from a worker that says it has one
_WITHOUT_WORKERS_SECONDS = 1800.0  # a batch system takes its time; the search goes on where it ended at any time
_GRACE_SECONDS = START_SECONDS + 60.0  # over the limit of a candidate, which the worker itself keeps: it starts first


@dataclass
class _Member:
    """A worker of the cluster. Gets jobs while it is ``ready``, which one that was refused or hung never is."""

    number: int
    address: str
    ready: bool = False
    refused: str = ""
    future: Any = None
    key: str | None = None
    job: object = None
    stage: str = "starting"
    since: float = field(default_factory=time.monotonic)


class ClusterPool:
    """All workers of the cluster at ``address``, with the interface of :class:`codesign.workers.WorkerPool`.

    Workers may come and go. Refused, with a ``message``, are those with other code, packages, tools or data than ours,
    those on whose machine nothing can be evaluated (no room), and those that do not answer; where that is no fault of
    the job's, it goes to another one. Raises InputError or ToolError where nobody answers at the address; :meth:`wait`
    raises ToolError when the scheduler is gone, when all workers are refused, and when there were none for too long.
    """

    def __init__(
        self,
        address: str,
        factory: Callable[[Path], Handler],
        run_folder: Path,
        *,
        limit_seconds: float,
        on_stage: StageListener,
        message: Callable[[str], None],
    ) -> None:
        self._address, self._on_stage, self._message = address, on_stage, message
        self._session = Session(f"codesign-{uuid.uuid4().hex}", pickle.dumps(factory), limit_seconds)
        self._store = ArtifactStore(run_folder)
        self._members: dict[str, _Member] = {}
        self._numbers = itertools.count()
        self._tried: defaultdict[str, set[str]] = defaultdict(set)
        self._returned: dict[str, object] = {}
        self._events: queue.SimpleQueue[tuple[str, Any, Any]] = queue.SimpleQueue()
        self._looked = float("-inf")
        self._fatal: list[CodesignError] = []
        self._client = _connect(address)
        self._client.subscribe_topic(self._session.name, lambda event: self._events.put(("", None, event[1])))
        self._deserted: float | None = None  # since when there is no worker
        self._look()
        self._await_workers()

    def idle(self) -> int:
        """Number of workers that take a job now."""
        return max(0, len(self._idle()) - len(self._returned))

    def running(self) -> list[str]:
        """Keys of the jobs under way."""
        return [*self._returned, *(member.key for member in self._members.values() if member.key is not None)]

    def submit(self, key: str, job: object) -> None:
        """Give a job to an idle worker; one that was tried before to another one, if there is another."""
        member = min(self._idle(), key=lambda member: (member.address in self._tried[key], member.number))
        self._tried[key].add(member.address)
        member.key, member.job = key, job
        parcel = pack(job, [job, getattr(job, "record", None)], self._store)  # networks, and what is measured further
        self._ask(member, do, self._session, key, parcel)
        self._set_stage(member, "preparing")

    def wait(self, timeout: float) -> list[Outcome]:
        """Outcomes of jobs that ended, after at most ``timeout`` seconds; raises as the pool of one machine does."""
        outcomes: list[Outcome] = []
        if not self._fatal:
            self._look(outcomes)
            while self._returned and self._idle():
                key = next(iter(self._returned))
                self.submit(key, self._returned.pop(key))
        for address, future, value in self._arrived(0 if self._fatal else timeout):
            self._receive(address, future, value, outcomes)
        if not self._fatal:
            self._end_overdue(outcomes)
            self._await_workers()
        if self._fatal and not outcomes:
            raise self._fatal[0]
        return outcomes

    def terminate(self) -> None:
        """Give up what runs; the workers notice, and stay for the next search."""
        futures = [member.future for member in self._members.values() if member.future is not None]
        self._members.clear()
        self._cancel(futures)
        with suppress(Exception):  # the scheduler may be gone
            self._client.close(timeout=_CONNECT_SECONDS)

    def _idle(self) -> list[_Member]:
        return [member for member in self._members.values() if member.ready and member.key is None]

    def _ask(self, member: _Member, function: Callable[..., Any], *arguments: Any) -> None:
        """Start ``function`` on that worker and no other."""
        member.since = time.monotonic()
        name = f"codesign-{uuid.uuid4().hex}"
        try:
            member.future = self._client.submit(
                function, *arguments, key=name, workers=[member.address], allow_other_workers=False, pure=False
            )
        except Exception as error:  # noqa: BLE001  # a client that lost its scheduler has many ways to say so
            self._lost(error)
            return
        # dask has one thread for all callbacks, and the answer of a worker that is gone comes late or never
        member.future.add_done_callback(
            lambda future: threading.Thread(target=self._fetch, args=(member.address, future), daemon=True).start()
        )

    def _fetch(self, address: str, future: Any) -> None:
        """Called in a thread of its own."""
        try:
            value = future.result(timeout=_FETCH_SECONDS)
        except BaseException as error:  # noqa: BLE001  # whatever a foreign machine raised is judged in our own thread
            value = error
        self._events.put((address, future, value))

    def _arrived(self, timeout: float) -> Iterator[tuple[str, Any, Any]]:
        """All that is there, after waiting for the first."""
        try:
            yield self._events.get(timeout=timeout)
            while True:
                yield self._events.get_nowait()
        except queue.Empty:
            return

    def _receive(self, address: str, future: Any, value: Any, outcomes: list[Outcome]) -> None:
        if future is None:
            member = self._members.get(value["worker"])
            if member is not None and member.key == value["key"]:
                self._set_stage(member, value["stage"])
            return
        member = self._members.get(address)
        if member is None or member.future is not future:
            return  # of a worker that was given up
        member.future = None
        if member.key is None:
            self._greeted(member, value)
            return
        outcome = self._outcome(member, value)
        if outcome is not None:
            outcomes.append(outcome)
        member.key = None
        if not member.refused:
            self._set_stage(member, "idle")

    def _outcome(self, member: _Member, value: Any) -> Outcome | None:
        """What a worker's answer says; None where it makes all work on that worker, or in the cluster, pointless."""
        key, seconds = member.key, time.monotonic() - member.since
        assert key is not None
        try:
            content = unpack(value, self._store) if isinstance(value, Parcel) else value
        except ValueError as error:
            content = error
        if isinstance(content, Outcome) and content.key == key:
            return content
        if isinstance(content, CodesignError):
            self._returned[key] = member.job
            self._refuse(member, str(content), "Mend that")
            return None
        if isinstance(content, BaseException) and self._present() is None:
            self._returned[key] = member.job  # the scheduler's end, which is neither the worker's fault nor the job's
            return None
        what = f"{type(content).__name__}: {content}" if isinstance(content, BaseException) else f"{content!r:.100}"
        return Outcome(key, reason=f"worker {member.address} gave no answer ({what})", retry=True, seconds=seconds)

    def _greeted(self, member: _Member, value: Any) -> None:
        if isinstance(value, BaseException) and self._present() is None:
            return  # the scheduler's end, which says nothing of the worker
        ours = fingerprint()
        if value == ours:
            member.ready = True
            self._set_stage(member, "idle")
            return
        advice = "Install the same codesign, packages and tools on every machine"
        if not isinstance(value, dict):  # another version of codesign, which may answer anything
            self._refuse(member, f"it does not say what it has ({type(value).__name__}: {value})", advice)
            return
        differing = [name for name in {**ours, **value} if ours.get(name) != value.get(name)]
        theirs, here = (", ".join(f"{name} {of.get(name, '?')}" for name in differing) for of in (value, ours))
        self._refuse(member, f"it has {theirs}; this machine has {here}", advice)

    def _refuse(self, member: _Member, why: str, advice: str) -> None:
        """Give that worker no more jobs; where no other is left, the search ends."""
        member.ready, member.refused = False, why
        self._set_stage(member, "refused")
        self._message(f"worker {member.address} is refused: {why}")
        if all(other.refused for other in self._members.values()):
            self._fatal.append(
                ToolError(
                    f"all workers of {self._address} are refused; {member.address}: {why}. "
                    f"{advice} and start the workers anew"
                )
            )

    def _look(self, outcomes: list[Outcome] | None = None) -> None:
        """Greet workers that are new, bury those that are gone."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        present = self._present()
        if present is None:
            return
        for address in present - set(self._members):
            member = self._members[address] = _Member(next(self._numbers), address)
            self._ask(member, greet)
        for event in self._arrived(0):  # what a worker answered before it left counts
            self._receive(*event, outcomes if outcomes is not None else [])
        for address in set(self._members) - present:
            member = self._members.pop(address)
            if member.key is not None and outcomes is not None:
                outcomes.append(self._given_up(member, "left the cluster"))
            self._set_stage(member, GONE)

    def _present(self) -> set[str] | None:
        """Addresses of the workers in the cluster; None where the scheduler is gone, which ends the search."""
        if self._fatal:
            return None
        try:
            # not scheduler_info(), whose answer the client's own thread may replace by one without workers
            identity = self._client.sync(
                self._client.scheduler.identity, n_workers=-1, callback_timeout=_PATIENCE_SECONDS
            )
        except Exception as error:  # noqa: BLE001  # as in _ask; the client drops `scheduler` when it gives up
            self._lost(error)
            return None
        return set(identity["workers"])

    def _lost(self, error: Exception) -> None:
        """Dask's client cannot reach its scheduler: the search ends, and can be continued."""
        self._fatal.append(
            ToolError(
                f"the cluster at {self._address} does not answer any more ({type(error).__name__}: {error}); what "
                "ended before is stored: start the cluster and run the same command again to continue"
            )
        )

    def _cancel(self, futures: list[Any]) -> None:
        with suppress(Exception):  # without a scheduler there is nothing left to cancel
            self._client.cancel(futures)

    def _await_workers(self) -> None:
        """Say once that there is no worker to wait for; end the search where none came for long."""
        if self._fatal or not all(member.refused for member in self._members.values()):
            self._deserted = None
            return
        if self._deserted is None:
            self._deserted = time.monotonic()
            minutes = _WITHOUT_WORKERS_SECONDS / 60
            self._message(f"{self._address} answers, but has no workers; waiting for them, {minutes:g} minutes at most")
        elif time.monotonic() - self._deserted > _WITHOUT_WORKERS_SECONDS:
            self._fatal.append(
                ToolError(
                    f"{self._address} had no workers for {_WITHOUT_WORKERS_SECONDS / 60:g} minutes; what ended before "
                    "is stored: start workers and run the same command again to continue"
                )
            )

    def _end_overdue(self, outcomes: list[Outcome]) -> None:
        """Give up workers that do not answer although their own limit is long over."""
        for member in self._members.values():
            seconds = time.monotonic() - member.since
            limit = _GRACE_SECONDS + (self._session.limit_seconds if member.key is not None else 0.0)
            if member.future is None or seconds <= limit:
                continue
            if member.key is not None:
                outcomes.append(self._given_up(member, f"did not answer within {seconds:.0f} s"))
            member.future = member.key = None  # a late answer is nobody's
            self._refuse(member, "it did not answer in time", "See what keeps it")

    def _given_up(self, member: _Member, what: str) -> Outcome:
        if member.future is not None:
            self._cancel([member.future])
        assert member.key is not None
        seconds = time.monotonic() - member.since
        reason = f"worker {member.address} {what} in stage {member.stage}"
        return Outcome(member.key, reason=reason, retry=True, seconds=seconds)

    def _set_stage(self, member: _Member, stage: str) -> None:
        member.stage = stage
        self._on_stage(member.number, stage, member.key)


def _connect(address: str) -> Any:
    """A client of the scheduler; InputError for certificates that cannot be used, ToolError where nobody answers."""
    import dask
    from distributed import Client
    from distributed.security import Security

    try:
        arguments = Security().get_connection_args("client")
    except (OSError, ValueError) as error:
        raise InputError(
            f"--cluster {address}: the certificates in dask's configuration (distributed.comm.tls) cannot be used "
            f"({type(error).__name__}: {error}); correct ca-file, client.cert and client.key there"
        ) from None
    if address.startswith("tls://") and arguments["ssl_context"] is None:
        raise InputError(
            f"--cluster {address} needs certificates: name them in dask's configuration (distributed.comm.tls: "
            "ca-file, client.cert, client.key), or give the tcp:// address of a cluster without encryption"
        )

    for name in ("distributed.client", "distributed.core", "distributed.comm.tcp", "distributed.batched"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it is said here
    dask.config.set({"distributed.comm.timeouts.connect": f"{_CONNECT_SECONDS}s"})
    try:
        with ThreadPoolExecutor(1) as greeting:  # a notebook has an event loop of its own in this thread
            greeting.submit(lambda: asyncio.run(_greet(address, arguments))).result()
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise ToolError(
            f"no dask scheduler answers at {address} within {_CONNECT_SECONDS} s ({type(error).__name__}: {error}); "
            f"start one with: {sys.executable} -m distributed.cli.dask_scheduler --no-dashboard, or give the address "
            "that it prints"
        ) from None


async def _greet(address: str, arguments: Mapping[str, Any]) -> None:
    """A client would wait without end for what listens but never says a word."""
    from distributed.comm import connect

    async def greet() -> None:
        await (await connect(address, **arguments)).close()

    await asyncio.wait_for(greet(), _CONNECT_SECONDS)
