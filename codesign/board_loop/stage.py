"""The boards' part of a search: who is measured, what was said, and what follows for everyone's figures.

Generation g's candidates are chosen when it is closed and measured while generation g + 1 is trained; what boards said
of them takes effect when generation g + 1 is told to the search algorithm, which waits for it. So the search depends on
the study and on what boards answer, not on who is faster, and a search that is continued replays stored answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from codesign.board_loop.choice import choose
from codesign.board_loop.known import Known
from codesign.board_loop.queue import AtStage, BoardQueue, Dropped, Event, Said, Wanted
from codesign.board_loop.result import BoardResult
from codesign.board_loop.tools import BoardTools
from codesign.counting import number_of
from codesign.errors import CodesignError, StorageError
from codesign.judging import Judge
from codesign.listener import Listener
from codesign.record import Record
from codesign.run import snapshot
from codesign.store import Store
from codesign.study import Study

_POLL_SECONDS = 0.2


class Boards:
    """The boards of one search; without hosts every method does nothing. A context manager that ends what runs.

    ``archive`` holds the search's records as they are stored, by digest; the search adds to it. All results are stored
    by the thread that calls, the moment they are collected. ``check`` raises after Ctrl-C.
    """

    def __init__(
        self,
        study: Study,
        folder: Path,
        store: Store,
        judge: Judge,
        tools: BoardTools,
        listener: Listener,
        check: Callable[[], None],
    ) -> None:
        self._study, self._folder, self._store, self._judge = study, folder, store, judge
        self.archive = {record.digest: record for record in store.records()}
        self._tools, self._listener, self._check = tools, listener, check
        self._results = [result for result in store.boards() if result.generation is not None]
        self._unkept: list[BoardResult] = []
        self._told = {row["number"] for row in store.generations()}
        self._queue: BoardQueue | None = None

    def known(self, records: Sequence[Record], before: int) -> Known:
        """What results of the generations ``before`` say of ``records``, which are as they are stored."""
        results = [result for result in self._results if result.generation is not None and result.generation < before]
        return Known.of(self._judge, records, results)

    def ask(self, generation: int, candidates: Sequence[Record], front: Sequence[Record]) -> None:
        """Have the study's number of candidates measured after ``generation``.

        Nothing is asked where the next generation was told before the search was continued: then it is settled.
        """
        if generation + 1 not in self._told:
            self._submit(generation, candidates, front, self._study.board.per_generation)

    def ask_last(self, generation: int, front: Sequence[Record]) -> bool:
        """Have members of the last front measured; False when there are none left to measure.

        At most as many as the generations that there were had together; ``generation`` counts on from the last one that
        was planned, by one with each call, as what boards say may bring others onto the front.
        """
        planned, held = self._study.search.generations, len(self._store.generations())
        done = sum(planned <= (result.generation or 0) < generation for result in self._results)
        most = self._study.board.per_generation * held - done
        return self._submit(generation, front, front, most)

    def conclude(self, front: Sequence[Record]) -> None:
        """Say how much of the front no board measured."""
        tried = {result.digest for result in self._results if result.failed_at is None}
        left = sum(record.digest not in tried for record in front)
        if left and self._study.board.hosts:
            self._listener.message(f"not measured on a board: {left} of {number_of(len(front), 'front member')}")

    def collect(self, seconds: float = 0.0) -> None:
        """Store and tell what boards did since the last call; waits at most so long for the first of it."""
        events = self._queue.collect(seconds) if self._queue is not None else []
        self._keep(events)  # before anything can raise: what took hours is not in the queue any more
        for event in events:
            match event:
                case BoardResult():
                    self._listener.measured(event, self._words(event.digest))
                case AtStage():
                    self._listener.board(self._study.board.hosts[event.host], event.stage, event.words)
                case Said():
                    self._listener.message(event.text)
                case Dropped():
                    self._listener.message(f"not measured, no board is left: {self._words(event.digest)}")
                case CodesignError():
                    raise event

    def _keep(self, events: Sequence[Event]) -> None:
        """Store the results among ``events``, and those that a full disk refused before."""
        self._unkept += [event for event in events if isinstance(event, BoardResult)]
        while self._unkept:
            self._store.put_board(self._unkept[0])
            self._results.append(self._unkept.pop(0))

    def settle(self) -> None:
        """Wait until boards have answered all that they were asked; every build and every operation has its limit."""
        if self._queue is not None and self._queue.outstanding:
            self._listener.waiting(self._queue.outstanding)
        while self._queue is not None and self._queue.outstanding:
            self._check()
            self.collect(_POLL_SECONDS)
            self._listener.tick()

    def _submit(self, generation: int, candidates: Sequence[Record], front: Sequence[Record], most: int) -> bool:
        """Whether anyone was chosen and is, or was before, measured."""
        hosts = self._study.board.hosts
        if not hosts or most <= 0:
            return False
        before = {r.digest for r in self._results if r.generation is not None and r.generation < generation}
        stored = {result.digest for result in self._results if result.generation == generation}
        chosen = choose(candidates, front, before, most)
        asked = [record for record in chosen if record.digest not in stored]
        if asked and self._queue is None:
            self._queue = BoardQueue(hosts, self._tools)
        if asked and self._queue is not None and self._queue.alive():
            run = snapshot(self._folder, self._store)
            self._queue.submit([Wanted(run, self.archive[record.digest], generation) for record in asked])
            return True
        return len(asked) < len(chosen)

    def _words(self, digest: str) -> str:
        return self.archive[digest].architecture.words()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._queue is not None:
            self._queue.close()
            try:
                self._keep(self._queue.collect())
            except StorageError:
                if error is None:  # otherwise that one is why the search ends
                    raise
