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
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codesign.artifacts import ArtifactStore
from codesign.cluster_worker import Code, Parcel, Session, do, greet, pack, this_code, unpack
from codesign.errors import CodesignError, InputError, ToolError
from codesign.listener import GONE
from codesign.worker_process import Handler
from codesign.workers import Outcome, StageListener

_ADDRESS = re.compile(r"(tcp|tls)://[^/\s]+:\d+")
_CONNECT_SECONDS = 5
_LOOK_SECONDS = 1.0  # between two looks at who is in the cluster
_FETCH_SECONDS = 60  # for an answer to arrive from a worker that says it has one
_GRACE_SECONDS = 180.0  # over the limit of a candidate, which the worker itself keeps: its process may have to start


@dataclass
class _Member:
    """A worker of the cluster. Gets jobs while it is ``ready``, which one that was refused or hung never is."""

    number: int
    address: str
    ready: bool = False
    refused: str = ""
    future: Any = None
    key: str | None = None
    stage: str = "starting"
    since: float = field(default_factory=time.monotonic)


class ClusterPool:
    """All workers of the cluster at ``address``, with the interface of :class:`codesign.workers.WorkerPool`.

    Workers may come and go. One with other code than ours is refused, and ``message`` says so. Raises InputError or
    ToolError where nobody answers at the address; :meth:`wait` raises ToolError when the scheduler is gone and when
    all workers are refused.
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
        self._events: queue.SimpleQueue[tuple[str, Any, Any]] = queue.SimpleQueue()
        self._looked = float("-inf")
        self._fatal: list[CodesignError] = []
        self._client = _connect(address)
        self._client.subscribe_topic(self._session.name, lambda event: self._events.put(("", None, event[1])))
        self._look()
        if not self._members:
            message(f"{address} answers, but has no workers yet; waiting for them")

    def idle(self) -> int:
        """Number of workers that take a job now."""
        return sum(member.ready and member.key is None for member in self._members.values())

    def running(self) -> list[str]:
        """Keys of the jobs under way."""
        return [member.key for member in self._members.values() if member.key is not None]

    def submit(self, key: str, job: object) -> None:
        """Give a job to an idle worker; one that was tried before to another one, if there is another."""
        idle = [member for member in self._members.values() if member.ready and member.key is None]
        member = min(idle, key=lambda member: (member.address in self._tried[key], member.number))
        self._tried[key].add(member.address)
        member.key = key
        parcel = pack(job, [getattr(job, "record", None)], self._store)  # what is measured further needs its files
        self._ask(member, do, self._session, key, parcel)
        self._set_stage(member, "preparing")

    def wait(self, timeout: float) -> list[Outcome]:
        """Outcomes of jobs that ended, after at most ``timeout`` seconds; raises as the pool of one machine does."""
        outcomes: list[Outcome] = []
        if not self._fatal:
            self._look(outcomes)
            for address, future, value in self._arrived(timeout):
                self._receive(address, future, value, outcomes)
            self._end_overdue(outcomes)
        if self._fatal and not outcomes:
            raise self._fatal[0]
        return outcomes

    def terminate(self) -> None:
        """Give up what runs; the workers notice, and stay for the next search."""
        futures = [member.future for member in self._members.values() if member.future is not None]
        self._members.clear()
        try:
            self._client.cancel(futures)
            self._client.close(timeout=_CONNECT_SECONDS)
        except (OSError, TimeoutError, RuntimeError):  # the scheduler is gone already
            self._client.close(timeout=0)

    def _ask(self, member: _Member, function: Callable[..., Any], *arguments: Any) -> None:
        """Start ``function`` on that worker and no other."""
        member.since = time.monotonic()
        name = f"codesign-{uuid.uuid4().hex}"
        member.future = self._client.submit(
            function, *arguments, key=name, workers=[member.address], allow_other_workers=False, pure=False
        )
        member.future.add_done_callback(lambda future: self._fetch(member.address, future))

    def _fetch(self, address: str, future: Any) -> None:
        """Called in a thread of dask's."""
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
        self._set_stage(member, "idle")

    def _outcome(self, member: _Member, value: Any) -> Outcome | None:
        """What a worker's answer says; None where it makes all work pointless."""
        key, seconds = member.key, time.monotonic() - member.since
        assert key is not None
        try:
            content = unpack(value, self._store) if isinstance(value, Parcel) else value
        except ValueError as error:
            content = error
        if isinstance(content, Outcome) and content.key == key:
            return content
        if isinstance(content, CodesignError):
            self._fatal.append(ToolError(f"worker {member.address}: {content}"))
            return None
        what = f"{type(content).__name__}: {content}" if isinstance(content, BaseException) else f"{content!r:.100}"
        return Outcome(key, reason=f"worker {member.address} gave no answer ({what})", retry=True, seconds=seconds)

    def _greeted(self, member: _Member, value: Any) -> None:
        ours = this_code()
        if value == ours:
            member.ready = True
            self._set_stage(member, "idle")
            return
        theirs = value.words() if isinstance(value, Code) else f"{type(value).__name__}: {value}"
        member.refused = f"it has {theirs}, this is {ours.words()}"
        self._message(f"worker {member.address} is refused: {member.refused}")
        if all(other.refused for other in self._members.values()):
            self._fatal.append(
                ToolError(
                    f"all workers of {self._address} are refused; {member.address}: {member.refused}. "
                    "Install the same codesign on every machine and start the workers anew"
                )
            )

    def _look(self, outcomes: list[Outcome] | None = None) -> None:
        """Greet workers that are new, bury those that are gone."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            # not scheduler_info(), whose answer the client's own thread may replace by one without workers
            identity = self._client.sync(
                self._client.scheduler.identity, n_workers=-1, callback_timeout=_CONNECT_SECONDS
            )
        except (OSError, TimeoutError, RuntimeError) as error:
            self._fatal.append(
                ToolError(
                    f"the cluster at {self._address} does not answer any more ({error}); what ended before is stored: "
                    "start the cluster and run the same command again to continue"
                )
            )
            return
        present = set(identity["workers"])
        for address in present - set(self._members):
            member = self._members[address] = _Member(next(self._numbers), address)
            self._ask(member, greet)
        for address in set(self._members) - present:
            member = self._members.pop(address)
            if member.key is not None and outcomes is not None:
                outcomes.append(self._given_up(member, "left the cluster"))
            self._set_stage(member, GONE)

    def _end_overdue(self, outcomes: list[Outcome]) -> None:
        """Give up workers that do not answer although their own limit is long over."""
        for member in self._members.values():
            seconds = time.monotonic() - member.since
            if member.key is not None and seconds > self._session.limit_seconds + _GRACE_SECONDS:
                member.ready, member.refused = False, "it did not answer in time"
                outcomes.append(self._given_up(member, f"did not answer within {seconds:.0f} s"))
                member.key = None

    def _given_up(self, member: _Member, what: str) -> Outcome:
        if member.future is not None:
            member.future.cancel()
        assert member.key is not None
        seconds = time.monotonic() - member.since
        reason = f"worker {member.address} {what} in stage {member.stage}"
        return Outcome(member.key, reason=reason, retry=True, seconds=seconds)

    def _set_stage(self, member: _Member, stage: str) -> None:
        member.stage = stage
        self._on_stage(member.number, stage, member.key)


def _connect(address: str) -> Any:
    """A client of the scheduler; InputError for what is no address, ToolError where nobody answers."""
    if not _ADDRESS.fullmatch(address):
        raise InputError(f"--cluster {address} is not the address of a dask scheduler; give e.g. tcp://10.0.0.1:8786")
    import dask
    from distributed import Client

    for name in ("distributed.client", "distributed.core", "distributed.comm.tcp", "distributed.batched"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters of it is said here
    dask.config.set({"distributed.comm.timeouts.connect": f"{_CONNECT_SECONDS}s"})
    try:
        asyncio.run(_greet(address))
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise ToolError(
            f"no dask scheduler answers at {address} within {_CONNECT_SECONDS} s ({type(error).__name__}: {error}); "
            "start one with: dask scheduler, or give the address it prints"
        ) from None


async def _greet(address: str) -> None:
    """A client would wait without end for what listens but never says a word."""
    from distributed.comm import connect

    async def greet() -> None:
        await (await connect(address)).close()

    await asyncio.wait_for(greet(), _CONNECT_SECONDS)
