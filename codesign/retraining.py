"""What came of front members that were trained again, with other seeds and in full, and measured again as new hardware.

A search picks its front among hundreds of trainings, so part of what its members have is luck. Only figures of the new
trainings are reported; those of the search stay in the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from codesign.record import Final, Record


@dataclass(frozen=True)
class Retraining:
    """Training ``number`` (from 1) of a front member: its record, and what is measured of front members only.

    ``record`` is judged by the budgets; ``final`` is None where nothing could be measured.
    """

    number: int
    record: Record
    final: Final | None

    @property
    def good(self) -> bool:
        """Whether it may stand on the front."""
        return self.record.status == "ok" and self.final is not None and self.final.measurement is not None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        final = self.final.to_json() if self.final else None
        return {"number": self.number, "record": self.record.to_json(), "final": final}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Retraining:
        """Inverse of :meth:`to_json`."""
        final = Final.from_json(values["final"]) if values["final"] is not None else None
        return cls(values["number"], Record.from_json(values["record"]), final)


@dataclass(frozen=True)
class Retrained:
    """A front member whose trainings all ended; ``before`` is what the search had measured of it."""

    before: Record
    trainings: tuple[Retraining, ...]

    @property
    def reported(self) -> Retraining:
        """The training that stands for the candidate: of the good ones that with the smallest validation error.

        Without a good one the first, whose reason then says why the candidate is not on the front.
        """
        good = [training for training in self.trainings if training.good]
        return min(good or self.trainings[:1], key=lambda one: (_error(one) if good else 0.0, one.number))

    def spread(self, figure: str) -> list[float]:
        """The values of a figure in all trainings that have it, ascending."""
        found = [one.record.measurement for one in self.trainings]
        found += [one.final.measurement for one in self.trainings if one.final is not None]
        return sorted(measured.value(figure) for measured in found if measured and figure in measured.figures)


def _error(training: Retraining) -> float:
    assert training.record.measurement is not None
    return training.record.measurement.value("val_error")


@dataclass
class Retrainings:
    """All that were stored of a run; ``seeds`` is how many belong to each front member."""

    seeds: int
    _found: dict[str, dict[int, Retraining]] = field(default_factory=dict)

    @classmethod
    def of(cls, seeds: int, stored: Sequence[Retraining]) -> Retrainings:
        """From what the store has, in any order."""
        found = cls(seeds)
        for training in stored:
            found.add(training)
        return found

    def add(self, training: Retraining) -> None:
        """One more."""
        self._found.setdefault(training.record.digest, {})[training.number] = training

    def missing(self, digest: str) -> list[int]:
        """Numbers of the trainings that a front member still needs."""
        return [number for number in range(1, self.seeds + 1) if number not in self._found.get(digest, {})]

    def retrained(self, records: Sequence[Record]) -> dict[str, Retrained]:
        """The candidates among ``records``, as the search measured them, whose trainings all ended."""
        whole = [record for record in records if self._found.get(record.digest) and not self.missing(record.digest)]
        return {record.digest: Retrained(record, self._trainings(record.digest)) for record in whole}

    def _trainings(self, digest: str) -> tuple[Retraining, ...]:
        return tuple(training for _, training in sorted(self._found[digest].items()))


def reported(records: Sequence[Record], retrained: Mapping[str, Retrained]) -> tuple[Record, ...]:
    """Records in their order; of those that were trained again, the training that is reported."""
    return tuple(
        replace(retrained[record.digest].reported.record, generation=record.generation, index=record.index)
        if record.digest in retrained
        else record
        for record in records
    )


def reported_finals(finals: Mapping[str, Final], retrained: Mapping[str, Retrained]) -> dict[str, Final]:
    """Finals by digest; of those that were trained again, the final of the training that is reported."""
    again = {digest: one.reported.final for digest, one in retrained.items()}
    return {**finals, **{digest: final for digest, final in again.items() if final is not None}}
