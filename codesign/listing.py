"""``codesign show --all``: every candidate of a run, each on a line of its own, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from codesign.accuracy import error_note, error_words
from codesign.measurement import Figure, Provenance
from codesign.predicting import cost_words, is_predicted
from codesign.record import SHORT_ERROR, Record
from codesign.report.marks import marked, meanings
from codesign.retrained_words import again_note
from codesign.run import Run, read_run
from nas.objectives import OBJECTIVES, source

_COLUMNS = {
    "id": str.ljust,
    "generation": str.rjust,
    "status": str.ljust,
    "validation error": str.rjust,
    "latency, us": str.rjust,
    "LUT": str.rjust,
    "network": str.ljust,
    "on the front, or why not": str.ljust,
}
_BOUND, _PREDICTED = "≥ ", "≈ "
_MEANINGS = {_BOUND: "≥ a bound by structure alone", _PREDICTED: "≈ predicted, no hardware was made"}


def show_all(folder: Path) -> None:
    """Print every candidate of a run, in the order in which they were asked for, and what the marks mean."""
    for line in candidate_lines(read_run(folder)):
        print(line)  # noqa: T201


def candidate_lines(run: Run) -> Iterator[str]:
    """The table, its headings first, and a line about its figures."""
    front = {record.digest for record in run.front}
    rows = [_row(run, record, on_front=record.digest in front) for record in run.records]
    yield from _aligned([tuple(_COLUMNS), *rows])
    notes = [error_note(run.task)]
    if run.counts["dropped"]:
        notes.append("of one that was dropped the error is that of its last rung")
    notes += [words for sign, words in _MEANINGS.items() if any(sign in cell for row in rows for cell in row[4:6])]
    figures = [figure for record in run.records if record.measurement for figure in record.measurement.figures.values()]
    yield "; ".join(filter(None, [*notes, again_note(run), meanings(figures)]))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(_COLUMNS.values(), row, widths, strict=True)
        yield "  ".join(pad(text, width) for pad, text, width in cells).rstrip()


def _row(run: Run, record: Record, *, on_front: bool) -> tuple[str, ...]:
    figures = record.measurement.figures if record.measurement else {}
    error = figures.get("val_error", figures.get(SHORT_ERROR))
    return (
        record.digest[:8],
        str(record.generation + 1),
        record.status,
        error_words(error, run.task.validation_samples) if error is not None else "",
        _cost(run, record, "latency"),
        _cost(run, record, "lut"),
        record.architecture.words(),
        "on the front" if on_front else _why_not(run, record),
    )


def _cost(run: Run, record: Record, name: str) -> str:
    """A cost of a candidate as far as it is known, with its mark."""
    quantity = OBJECTIVES[name]
    if record.measurement is None or quantity.figure not in record.measurement.figures:
        return ""
    figure = source(record.measurement, quantity.figure)
    words = cost_words(quantity, record.measurement, run.study.target.clock_mhz)
    return marked(f"{_sign(figure)}{words}", figure)


def _sign(figure: Figure) -> str:
    if figure.provenance is not Provenance.ESTIMATED:
        return ""
    return _PREDICTED if is_predicted(figure) else _BOUND


def _why_not(run: Run, record: Record) -> str:
    final = run.finals.get(record.digest)
    reason = record.reason
    if record.status == "ok":
        reason = f"left the front: {final.reason}" if final is not None and final.measurement is None else "dominated"
    return " ".join(reason.split())  # one line, whatever a tool said
