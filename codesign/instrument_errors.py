"""How far off a cheaper instrument was where a better one measured the same design, from what a run's store holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median, quantiles
from typing import Any

from codesign.board_loop.result import BoardResult
from codesign.designs import Designs
from codesign.measurement import Figure, Measurement, Provenance
from codesign.reading import Reading
from codesign.record import Record
from codesign.target import RESOURCES

_ACCELERATOR = ("accelerator_latency_cycles", "accelerator_interval_cycles")
QUANTITIES = (*RESOURCES, "fmax", "latency_cycles", "interval_cycles", *_ACCELERATOR)
_OF_BOARDS: Mapping[str, str] = {
    **{f"accelerator_{name}": name for name in RESOURCES},
    "fmax": "fmax",
    "board_latency_cycles": "accelerator_latency_cycles",
    "board_interval_cycles": "accelerator_interval_cycles",
}
"""What a board's result calls a quantity; its cells and clock are of the network with the accelerator around it."""
_RANK = {
    Provenance.ESTIMATED: 0, Provenance.SCHEDULED: 1, Provenance.MODELLED: 2, Provenance.SYNTHESIZED: 3,
    Provenance.ROUTED: 4, Provenance.SIMULATED: 5, Provenance.ON_BOARD: 6,
}  # fmt: skip
_VENDORS = ("Vivado",)
"""Whose tools make the bitstream: of two figures that came to be alike, theirs is the better one."""


@dataclass(frozen=True)
class Instrument:
    """What figures are from: how they came to be and by which tool; and of what, where that is more than the network.

    ``versions`` in the order in which they were met; those that nobody has tried are marked.
    """

    provenance: Provenance
    tool: str
    around: str = ""
    versions: tuple[str, ...] = ()

    def words(self) -> str:
        """The instrument on one line, without versions."""
        return f"{self.provenance.value} by {self.tool}" + (f", {self.around}" if self.around else "")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "provenance": self.provenance.value,
            "tool": self.tool,
            "around": self.around,
            "versions": list(self.versions),
        }


@dataclass(frozen=True)
class Distance:
    """Of designs that both measured: the absolute error of ``cheaper`` relative to ``better``, and how it orders them.

    Relative to 1 where ``better`` says less: of four block RAMs where there is none, the error is 400 %.
    ``bounds``: further designs of which either instrument only says a bound, such as an Fmax that meets the clock.
    ``tau`` (Kendall's, b) is None of fewer than two designs, and where one of the two says the same of all.
    """

    quantity: str
    cheaper: Instrument
    better: Instrument
    designs: int
    bounds: int
    median: float | None
    p90: float | None
    tau: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; the keys are documented in docs/json.md."""
        numbers = {name: getattr(self, name) for name in ("designs", "bounds", "median", "p90", "tau")}
        both = {"cheaper": self.cheaper.to_json(), "better": self.better.to_json()}
        return {"quantity": self.quantity, **both, **numbers}


@dataclass(frozen=True)
class _Said:
    """A figure of one design, and what is around the network in what was measured."""

    figure: Figure
    around: str = ""

    @property
    def instrument(self) -> Instrument:
        return Instrument(self.figure.provenance, self.figure.tool, self.around)

    @property
    def rank(self) -> tuple[int, bool, bool]:
        return _RANK[self.figure.provenance], self.figure.tool in _VENDORS, bool(self.around)


def distances(
    records: Iterable[Record], boards: Iterable[BoardResult], readings: Iterable[tuple[str, Reading]]
) -> list[Distance]:
    """Every pair of instruments that measured the same quantity of the same designs.

    Each version of the cheaper one makes a pair of its own: with another timing model, another error. Those of the
    better one are pooled, as little is measured by it.
    ``records``: all that are stored, as they are stored; of a candidate that was trained again each is another design.
    Of a design that one instrument measured several times the last counts.
    """
    records, said = list(records), dict[tuple[str, str], dict[Instrument, _Said]]()
    for design, quantity, one in _all(records, boards, readings, Designs(records)):
        if design is not None and quantity in QUANTITIES and one.figure.provenance in _RANK:
            said.setdefault((quantity, design), {})[one.instrument] = one
    pairs: dict[tuple[str, Instrument, str, Instrument], list[tuple[_Said, _Said]]] = {}
    for (quantity, _), found in said.items():
        for one, other in combinations(found.values(), 2):
            cheaper, better = sorted((one, other), key=lambda each: each.rank)
            if cheaper.rank < better.rank:
                key = quantity, cheaper.instrument, version_words(cheaper.figure), better.instrument
                pairs.setdefault(key, []).append((cheaper, better))
    order = sorted(pairs, key=lambda key: (QUANTITIES.index(key[0]), key[1].words(), key[3].words(), key[2]))
    return [_distance(key[0], pairs[key]) for key in order]


def _all(
    records: Iterable[Record], boards: Iterable[BoardResult], readings: Iterable[tuple[str, Reading]], designs: Designs
) -> Iterable[tuple[str | None, str, _Said]]:
    """Of which design, which quantity, and what was said; the design is None where nobody knows it."""
    for record in records:
        if record.status != "failed" and record.measurement is not None:
            yield from ((record.design, name, one) for name, one in _own(record.measurement))
    for digest, reading in readings:
        for name, figure in reading.figures.figures.items():
            yield designs.of(digest, reading.design), name, _Said(figure)
    for result in boards:
        figures = result.measurement.figures if result.measurement is not None else {}
        for name, quantity in _OF_BOARDS.items():
            if name in figures and result.failed_at != "mismatch":
                around = "" if name.startswith("board_") else "with the accelerator around it"
                yield designs.of(result.digest, result.design), quantity, _Said(figures[name], around)


def _own(measurement: Measurement) -> Iterable[tuple[str, _Said]]:
    """What the search measured, and what the schedule said of it before."""
    for name, figure in measurement.figures.items():
        if figure.provenance is Provenance.SIMULATED and "scheduled" in figure.details:
            scheduled = float(figure.details["scheduled"])
            yield name, _Said(Figure(scheduled, figure.unit, Provenance.SCHEDULED, "codesign", "", {}, figure.date))
        yield name, _Said(figure)


def _distance(quantity: str, pairs: Sequence[tuple[_Said, _Said]]) -> Distance:
    exact = [
        (cheaper.figure.value, better.figure.value)
        for cheaper, better in pairs
        if not (cheaper.figure.bound or better.figure.bound)
    ]
    errors = [abs(cheaper - better) / max(better, 1.0) for cheaper, better in exact]
    return Distance(
        quantity,
        _with_versions([cheaper for cheaper, _ in pairs]),
        _with_versions([better for _, better in pairs]),
        len(exact),
        sum(cheaper.figure.bound or better.figure.bound for cheaper, better in pairs),
        median(errors) if errors else None,
        _p90(errors) if errors else None,
        _tau(exact),
    )


def _with_versions(said: Sequence[_Said]) -> Instrument:
    first = said[0].instrument
    versions = dict.fromkeys(version_words(one.figure) for one in said if one.figure.version)
    return Instrument(first.provenance, first.tool, first.around, tuple(versions))


def version_words(figure: Figure) -> str:
    """The version of a figure's tool; of one that nobody has tried, that it is such."""
    return figure.version + (" (untested)" if figure.details.get("untested") else "")


def _p90(errors: Sequence[float]) -> float:
    return quantiles(errors, n=10, method="inclusive")[-1] if len(errors) > 1 else errors[0]


def _tau(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len({cheaper for cheaper, _ in pairs}) < 2 or len({better for _, better in pairs}) < 2:
        return None
    from scipy.stats import kendalltau

    return float(kendalltau(*zip(*pairs, strict=True)).statistic)
