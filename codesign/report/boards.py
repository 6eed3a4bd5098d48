"""What boards did in a search: who was measured where, what it says of everyone's figures, and what failed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from codesign.board_loop.corrections import Correction
from codesign.board_loop.result import BoardResult
from codesign.board_loop.words import where
from codesign.counting import number_of
from codesign.measurement import Provenance
from codesign.place import PROGRAM, called
from codesign.report.html import paragraph, table
from codesign.run import Run

_CORRECTIONS = ("figure", "ratio", "candidates", "fitted to", "median error without", "median error with")
_RESULTS = ("generation", "network", "board", "outcome", "reason", "look into it")
_TEXT = (
    "Candidates that a board measured during the search have its figures; those of all others are multiplied by the "
    "ratios below. An error is that of predicting each measured candidate from the others, leaving it out."
)


def boards(run: Run) -> str:
    """The report's section; empty where no board measured anything for the search."""
    if not asked(run):
        return ""
    text = paragraph(" ".join([*counts(run), *([_TEXT] if run.corrections else [])]))
    fits = sorted(run.corrections.fits.items())
    corrected = [(name, *_cells(correction)) for name, correction in fits]
    ratios = table(_CORRECTIONS, corrected, numbers=(1, 2, 4, 5)) if corrected else ""
    return text + ratios + table(_RESULTS, [_row(run, result) for result in asked(run)], wide=(4,), code=(5,))


def asked(run: Run) -> list[BoardResult]:
    """Results that the search asked for, in the order they became known."""
    return [result for result in run.boards if result.generation is not None]


def counts(run: Run) -> list[str]:
    """How much boards did, in sentences; nothing where they did nothing for the search."""
    results = asked(run)
    if not results:
        return []
    good = {result.digest for result in results if result.failed_at is None}
    hosts = ", ".join(dict.fromkeys(where(result) for result in results))
    failed = Counter(result.failed_at for result in results if result.failed_at is not None)
    failures = ", ".join(f"{count} at {stage}" for stage, count in sorted(failed.items()))
    also = f"; {failed.total()} failed ({failures})" if failures else ""
    front = sum(record.digest in good for record in run.front)
    return [
        f"Measured for the search: {number_of(len(good), 'candidate')} on {hosts}{also}.",
        f"Measured of the front: {front} of {number_of(len(run.front), 'member')}.",
    ]


def shown_by(run: Run) -> str:
    """Whose latencies a run's are, in words; empty where no board had a part in them."""
    correction = run.corrections.fits.get("latency_us")
    if correction is None:
        return ""
    virtual = correction.provenance is Provenance.SIMULATED
    return "as virtual boards showed it (simulated)" if virtual else "as boards showed it"


def lines(run: Run) -> list[str]:
    """The same for a terminal, with a line for each correction."""
    found = [sentence.removesuffix(".") for sentence in counts(run)]
    for name, correction in sorted(run.corrections.fits.items()):
        ratio, count, kind, before, after = _cells(correction)
        found.append(
            f"{name} of the others: x {ratio} (of {count} {kind}); median error {before} without, {after} with"
        )
    return found


def corrections_json(run: Run) -> dict[str, Any]:
    """Corrections by figure as plain JSON values; the keys are documented in docs/json.md."""
    return {
        name: {
            "ratio": correction.fit.ratio,
            "candidates": correction.fit.samples,
            "fitted_to": correction.provenance.value,
            "error_before": correction.fit.error_before,
            "error": correction.fit.error,
        }
        for name, correction in sorted(run.corrections.fits.items())
    }


def _row(run: Run, result: BoardResult) -> tuple[str, ...]:
    assert result.generation is not None
    last = result.generation >= run.study.search.generations
    record = next(record for record in run.records if record.digest == result.digest)
    return (
        "at the end" if last else str(result.generation + 1),
        record.architecture.words(),
        where(result),
        "measured" if result.failed_at is None else f"failed at {result.failed_at}",
        result.reason,
        f"{PROGRAM} show {called(run.folder)} {result.digest[:8]}",
    )


def _cells(correction: Correction) -> tuple[str, str, str, str, str]:
    found = correction.fit
    before, after = (f"{100 * error:.1f} %" for error in (found.error_before, found.error))
    return f"{found.ratio:.3f}", str(found.samples), correction.where(), before, after
