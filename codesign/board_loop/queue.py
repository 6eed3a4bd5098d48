"""Boards at work beside a search: a thread for each host, which builds and measures one candidate at a time.

The search's thread submits candidates and collects what became of them; nothing here touches the store. Which host a
candidate is given to depends on the order of candidates and hosts alone, not on who is faster, so that the same boards
give the same results again. A candidate whose host fails goes to the next one.
"""

from __future__ import annotations

import datetime
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from boards.bundle import Bundle
from boards.remote import Remote
from codesign.board_loop.result import BoardResult, Stage
from codesign.board_loop.tools import BoardTools
from codesign.counting import number_of
from codesign.deployment.keeping import failed_at
from codesign.deployment.session import LOOKING, Deployment
from codesign.errors import BundleError, CandidateError, CodesignError, InputError, MismatchError, TimingError
from codesign.measurement import Measurement
from codesign.record import Record
from codesign.run import Run
from codesign.target import is_virtual
from hw.measure.tools import stoppable

FAILURES = 3
"""Connections in a row that a host may fail before it is given up."""
LOSSES = 2
"""Connections that may be lost while a candidate is measured before the candidate is taken to be the reason."""
REST_SECONDS = 20.0
"""Between a connection that failed and the next: a board that reboots needs about twice as long."""
_JOIN_SECONDS = 10.0


@dataclass
class Wanted:
    """A candidate to measure; ``run`` is what its artefacts are read from."""

    run: Run
    record: Record
    generation: int
    bundles: dict[bool, Bundle] = field(default_factory=dict)  # by whether the host is virtual
    losses: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """Something that the user should read."""

    text: str


@dataclass(frozen=True)
class AtStage:
    """A host is now in ``stage`` of the candidate in ``words``; both empty while it has none."""

    host: int
    stage: str
    words: str


@dataclass(frozen=True)
class Dropped:
    """A candidate that no host is left for."""

    digest: str


Event = BoardResult | Said | AtStage | Dropped | CodesignError


@dataclass
class _Host:
    number: int
    name: str
    waiting: deque[Wanted] = field(default_factory=deque)
    failures: int = 0
    rests_until: float = 0.0
    given_up: bool = False
    remote: Remote | None = None

    @property
    def virtual(self) -> bool:
        return is_virtual(self.name)


class BoardQueue:
    """Hosts and the candidates that wait for them; :meth:`close` ends everything that runs.

    Only the search's thread calls its methods. Every candidate that was submitted leaves as one
    :class:`BoardResult` or one :class:`Dropped`. A CodesignError among the events concerns no candidate (a full disk, a
    tool that vanished) and is for the search to raise.
    """

    def __init__(self, hosts: Sequence[str], tools: BoardTools) -> None:
        self._tools = tools
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._hosts = [_Host(number, name) for number, name in enumerate(hosts)]
        self._outstanding = 0
        self._threads = [
            threading.Thread(target=self._serve, args=(host,), name=f"board {host.name}", daemon=True)
            for host in self._hosts
        ]
        for thread in self._threads:
            thread.start()

    @property
    def outstanding(self) -> int:
        """Candidates that were submitted and have not been collected."""
        return self._outstanding

    def alive(self) -> list[str]:
        """Hosts that were not given up."""
        with self._changed:
            return [host.name for host in self._hosts if not host.given_up]

    def submit(self, wanted: Sequence[Wanted]) -> None:
        """Give candidates to the hosts that are left, in turn."""
        self._outstanding += len(wanted)
        with self._changed:
            self._distribute(wanted)

    def collect(self, seconds: float = 0.0) -> list[Event]:
        """What happened since the last call; waits at most so long for the first of it."""
        found: list[Event] = []
        with suppress(queue.Empty):
            found.append(self._events.get(timeout=seconds) if seconds > 0 else self._events.get_nowait())
            while True:
                found.append(self._events.get_nowait())
        self._outstanding -= sum(isinstance(event, BoardResult | Dropped) for event in found)
        return found

    def close(self) -> None:
        """End all builds and sessions at once."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        for host in self._hosts:
            if (remote := host.remote) is not None:  # in a thread: it waits for the board to say goodbye
                threading.Thread(target=_closed, args=(remote,), daemon=True).start()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _distribute(self, wanted: Sequence[Wanted]) -> list[_Host]:
        """Give candidates to the hosts that are left, in turn; these hosts. The lock is the caller's."""
        left = [host for host in self._hosts if not host.given_up]
        for place, one in enumerate(wanted):
            if left:
                left[place % len(left)].waiting.append(one)
            else:
                self._events.put(Dropped(one.record.digest))
        self._changed.notify_all()
        return left

    def _serve(self, host: _Host) -> None:
        with stoppable(self._stop):
            while (wanted := self._next(host)) is not None:
                try:
                    self._attempt(host, wanted)
                except CodesignError as error:
                    self._events.put(error)
                except Exception as error:  # noqa: BLE001 - one candidate's surprise must not end the search; it is stored
                    reason = f"unexpected {type(error).__name__}: {error}"
                    self._failed(host, wanted, "board", reason, traceback.format_exc())
                self._at(host, "", None)

    def _next(self, host: _Host) -> Wanted | None:
        """The host's next candidate, once there is one and it has rested; None when it need not wait for more."""
        with self._changed:
            while not (self._stop.is_set() or host.given_up):
                rest = host.rests_until - time.monotonic()
                if host.waiting and rest <= 0:
                    return host.waiting.popleft()
                self._changed.wait(rest if host.waiting else None)
        return None

    def _attempt(self, host: _Host, wanted: Wanted) -> None:
        """Build and measure one candidate, and report what became of it, or give it to another host."""
        bundle = self._bundle(host, wanted)
        if bundle is None:
            return
        self._at(host, "connecting", wanted)
        try:
            remote = self._tools.connect(host.name, bundle, said=lambda text: self._at(host, text, wanted))
        except (CandidateError, BundleError) as error:
            if host.virtual:  # its fabric is compiled from the candidate's RTL
                self._failed(host, wanted, "build", str(error), getattr(error, "log", ""))
            else:
                self._unreachable(host, wanted, str(error))
            return
        except CodesignError as error:
            self._unreachable(host, wanted, str(error))
            return
        host.remote = remote
        try:
            self._measure(host, wanted, bundle, remote)
        finally:
            host.remote = None
            _closed(remote)

    def _bundle(self, host: _Host, wanted: Wanted) -> Bundle | None:
        """The candidate's bundle for this kind of host; None where it cannot be built, which is then reported."""
        if host.virtual not in wanted.bundles:
            self._at(host, "building", wanted)
            began = time.monotonic()
            try:
                made = self._tools.build(
                    wanted.run, wanted.record, host.name, lambda text: self._at(host, f"building: {text}", wanted)
                )
            except TimingError as error:
                self._failed(host, wanted, "timing", str(error), error.log, error.measurement)
                return None
            except (CandidateError, InputError) as error:  # InputError: its artefacts or its bundle are damaged
                self._failed(host, wanted, "build", str(error), getattr(error, "log", ""))
                return None
            finally:
                wanted.seconds["building"] = time.monotonic() - began
            wanted.bundles[host.virtual] = made
        return wanted.bundles[host.virtual]

    def _measure(self, host: _Host, wanted: Wanted, bundle: Bundle, remote: Remote) -> None:
        routed = Measurement.from_json(bundle.manifest["figures"].get("build", {}))
        try:
            deployment = Deployment(bundle, remote, step=lambda name: self._at(host, name, wanted))
        except InputError as error:
            self._failed(host, wanted, "build", str(error), measurement=routed)
            return
        try:
            deployed = deployment.deploy()
        except InputError as error:
            if isinstance(error, BundleError) and deployment.at == LOOKING:  # another board than it should be
                self._give_up(host, str(error), wanted)
            else:  # this bundle was refused, or damaged on its way; the next one need not be
                self._failed(host, wanted, "board", str(error), measurement=routed, deployment=deployment)
            return
        except CandidateError as error:
            mismatch, stage = isinstance(error, MismatchError), failed_at(error, deployment.at)
            if not mismatch and not _answers(remote):
                self._lost(host, wanted, str(error), deployment)
                return
            self._failed(host, wanted, stage, str(error), error.log, routed, deployment)
            if stage == "board":
                if mismatch:  # what answers is not what was loaded
                    self._unreachable(host, None, str(error))
                return
        except CodesignError as error:
            self._unreachable(host, wanted, str(error))
            return
        else:
            figures = routed.merged([deployed.measurement])
            seconds = {**wanted.seconds, **deployed.seconds}
            self._result(host, wanted, measurement=figures, described=deployed.described, seconds=seconds)
        host.failures = 0

    def _lost(self, host: _Host, wanted: Wanted, reason: str, deployment: Deployment) -> None:
        """The connection ended while the candidate was measured."""
        wanted.losses += 1
        if wanted.losses < LOSSES:
            self._unreachable(host, wanted, reason)
            return
        words = f"{wanted.losses} connections were lost while it was measured, the last one: {reason}"
        self._failed(host, wanted, "board", words, deployment=deployment)
        self._unreachable(host, None, reason)

    def _unreachable(self, host: _Host, wanted: Wanted | None, reason: str) -> None:
        """The host cannot be used now; its candidate goes to the next one that is left, which may be the same."""
        host.failures += 1
        if host.failures >= FAILURES:
            self._give_up(host, reason, wanted)
            return
        self._events.put(Said(f"{reason} (failure {host.failures} of {FAILURES} in a row)"))
        host.rests_until = time.monotonic() + REST_SECONDS
        with self._changed:
            after = self._hosts[host.number + 1 :] + self._hosts[: host.number + 1]
            if wanted is not None:
                next(other for other in after if not other.given_up).waiting.appendleft(wanted)
            self._changed.notify_all()

    def _give_up(self, host: _Host, reason: str, wanted: Wanted | None) -> None:
        """No more candidates for this host; those that it has, and ``wanted``, go to the others."""
        with self._changed:
            host.given_up = True
            moved = [*([wanted] if wanted is not None else []), *host.waiting]
            host.waiting.clear()
            left = self._distribute(moved)
        of = number_of(len(self._hosts), "board")
        rest = f"{len(left)} of {of} left" if left else "the search goes on without boards"
        self._events.put(Said(f"{host.name} is given up: {reason}; {rest}"))

    def _failed(
        self,
        host: _Host,
        wanted: Wanted,
        stage: Stage,
        reason: str,
        log: str = "",
        measurement: Measurement | None = None,
        deployment: Deployment | None = None,
    ) -> None:
        found = measurement if measurement is not None and measurement.figures else None
        known = deployment.known() if deployment is not None else None
        self._result(
            host,
            wanted,
            measurement=found,
            failed_at=stage,
            reason=reason,
            log=log,
            described=known.described if known is not None else {},
            seconds={**wanted.seconds, **(known.seconds if known is not None else {})},
        )

    def _result(self, host: _Host, wanted: Wanted, **values: object) -> None:
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        # what fails while everything is ended failed for that reason; timing and outputs cannot
        if self._stop.is_set() and values.get("failed_at") in ("build", "board"):
            return
        record, generation = wanted.record, wanted.generation
        result = BoardResult(record.digest, host.name, date, generation=generation, design=record.design, **values)  # type: ignore[arg-type]
        self._events.put(result)

    def _at(self, host: _Host, stage: str, wanted: Wanted | None) -> None:
        self._events.put(AtStage(host.number, stage, wanted.record.architecture.words() if wanted is not None else ""))


def _answers(remote: Remote) -> bool:
    """Whether the session goes on."""
    try:
        remote.hello()
    except CodesignError:
        return False
    return True


def _closed(remote: Remote) -> None:
    with suppress(Exception):  # its own thread may be closing it
        remote.close()
