"""What a search tells whoever watches it; the base class is deaf."""

from __future__ import annotations

from codesign.board_loop.result import BoardResult
from codesign.record import Record
from codesign.trial import Trial

GONE = "gone"
"""The stage of a worker that left; it does not come back under its number."""


class Listener:
    """Called by the search, always from its own thread; each method may be overridden alone."""

    def begun(self, total: int, known: int) -> None:
        """A search of at most ``total`` candidates begins, ``known`` of which the store already has."""

    def stage(self, worker: int, stage: str, words: str) -> None:
        """A worker (from 0) is now in ``stage`` of the candidate in ``words`` (empty while it has none)."""

    def candidate(self, record: Record) -> None:
        """A candidate ended and is stored."""

    def board(self, host: str, stage: str, words: str) -> None:
        """A board is now in ``stage`` of the candidate in ``words``; both empty while it has none."""

    def measured(self, result: BoardResult, words: str) -> None:
        """A board is done with the candidate in ``words``, and what became of it is stored."""

    def waiting(self, count: int) -> None:
        """The search waits for boards to measure ``count`` candidates."""

    def trial(self, trial: Trial, error: str) -> None:
        """A short training ended with ``error``, in words, and is stored."""

    def rung(self, rung: int, passed: int, entered: int, others: int) -> None:
        """All trainings of a rung (from 1) ended; ``passed`` of ``entered`` go on, and ``others`` trained before."""

    def generation(self, number: int, front_size: int, hypervolume: float) -> None:
        """Generation ``number`` (from 0) is complete."""

    def retraining(self, count: int, seeds: int) -> None:
        """``count`` front members begin to be trained again, ``seeds`` times each unless some of it is done."""

    def finalizing(self, count: int) -> None:
        """Test error and C simulation of ``count`` front members begin."""

    def message(self, text: str) -> None:
        """Something that the user should read."""

    def tick(self) -> None:
        """Called several times a second while candidates run."""
