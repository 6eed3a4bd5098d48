"""Figures with their provenance: what was measured, how, with which tool."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


class Provenance(enum.StrEnum):
    """How a figure came to be, from the weakest to the strongest for its metric.

    Resources and clock: estimated < synthesized < routed < on_board.
    Cycles: estimated < scheduled < simulated < on_board. ``modelled`` is a timing model applied to
    a synthesized netlist: better than estimated, not a routed figure. ``corrected`` is a weaker figure
    times the ratio that other candidates showed on boards or routed. ``trained`` marks accuracies
    computed by running the network on data, ``counted`` what its description alone says, ``timed`` what a program took
    on a processor, which ``details`` name.
    """

    ESTIMATED = "estimated"
    SCHEDULED = "scheduled"
    MODELLED = "modelled"
    CORRECTED = "corrected"
    SYNTHESIZED = "synthesized"
    ROUTED = "routed"
    SIMULATED = "simulated"
    ON_BOARD = "on_board"
    TRAINED = "trained"
    COUNTED = "counted"
    TIMED = "timed"


ASSUMED = "assumed by the tool"
"""What ``activity`` says among the details of a power where it is no name of a file of simulated activity."""


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class Figure:
    """One value: its unit, how it came to be, the tool and its version, and the day (ISO 8601, UTC).

    Figures stored before days were kept have an empty one. The day makes no figure another.
    """

    value: float
    unit: str
    provenance: Provenance
    tool: str
    version: str
    details: Mapping[str, Any] = field(default_factory=dict)
    date: str = field(default_factory=_today, compare=False)

    @property
    def bound(self) -> bool:
        """Whether the design may reach more: it met its clock, and the tool was asked for no faster one.

        ``met`` is what figures of overlays said at first, in stores that are kept.
        """
        return bool(self.details.get("met") or self.details.get("lower_bound"))

    @property
    def marks(self) -> str:
        """How it came to be; of power by whose activity; and that it is of a version of the tool that nobody tried."""
        words = [self.provenance.value]
        if "activity" in self.details:
            words.append("assumed activity" if self.details["activity"] == ASSUMED else "simulated activity")
        return ", ".join(words + ["untested"] * bool(self.details.get("untested")))

    @property
    def warnings(self) -> list[str]:
        """What is to be said of it in whole sentences."""
        return [str(self.details[name]) for name in ("untested", "warning") if self.details.get(name)]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "value": self.value,
            "unit": self.unit,
            "provenance": self.provenance.value,
            "tool": self.tool,
            "version": self.version,
            "details": dict(self.details),
            "date": self.date,
        }

    def brief_json(self) -> dict[str, Any]:
        """The same without details, for where there are many."""
        return {name: value for name, value in self.to_json().items() if name != "details"}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Figure:
        """Inverse of :meth:`to_json`."""
        return cls(**{"date": "", **values, "provenance": Provenance(values["provenance"])})


@dataclass(frozen=True)
class Measurement:
    """Named figures of one design: ``lut, ff, carry, bram, dsp, fmax, latency_cycles, interval_cycles, ...``."""

    figures: Mapping[str, Figure]

    def value(self, name: str) -> float:
        """The value of one figure; KeyError where it was not measured."""
        return self.figures[name].value

    def merged(self, others: Iterable[Measurement]) -> Measurement:
        """This and the others as one; the same name twice is a programming error."""
        figures = dict(self.figures)
        for other in others:
            twice = figures.keys() & other.figures.keys()
            assert not twice, f"measured twice: {sorted(twice)}"
            figures.update(other.figures)
        return Measurement(figures)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: figure.to_json() for name, figure in self.figures.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Measurement:
        """Inverse of :meth:`to_json`."""
        return cls({name: Figure.from_json(figure) for name, figure in values.items()})
