"""What is known of a run's candidates once boards have measured some of them.

The store keeps every figure as it was measured. Here the figures of measured candidates give way to those of their
boards, those of all others are corrected by them, and every status follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from codesign.board_loop.corrections import Corrections, corrections
from codesign.board_loop.result import BoardResult
from codesign.judging import Judge
from codesign.record import Record


@dataclass(frozen=True)
class Known:
    """What boards said: ``corrections``, and the results that decide about a candidate by its digest."""

    judge: Judge
    corrections: Corrections
    refused: Mapping[str, BoardResult]

    @classmethod
    def of(cls, judge: Judge, records: Sequence[Record], results: Sequence[BoardResult]) -> Known:
        """From records as they are stored and the results that count, in any order.

        Only results that a search asked for count (``generation`` is set): what a person deploys later does not
        change which candidates a run found best. A mismatch or missed timing decides about its candidate, and so does
        a build that failed, where any other build went well: otherwise the tool is at fault, not the candidate. A board
        that failed says nothing of it.
        """
        results = sorted((r for r in results if r.generation is not None), key=_order)
        by_digest = {record.digest: record.measurement for record in records if record.measurement is not None}
        shown = [(r.digest, r.measurement) for r in results if r.measurement is not None and r.failed_at != "mismatch"]
        builds_work = any(result.failed_at != "build" for result in results)
        deciding = {"mismatch", "timing"} | ({"build"} if builds_work else set())
        refused = {result.digest: result for result in results if result.failed_at in deciding}
        usable = [(digest, figures) for digest, figures in shown if digest in by_digest]
        return cls(judge, corrections(by_digest, usable, judge.clock_mhz), refused)

    def record(self, record: Record) -> Record:
        """One record, stored or new, as it is known now."""
        result = self.refused.get(record.digest)
        nothing_new = result is None and not self.corrections
        unknown = record.measurement is None or record.status == "failed"
        # of one that was never trained or built there are only estimates, which decided
        if nothing_new or unknown or record.status == "dropped" or self.judge.lacking(record):
            return record
        assert record.measurement is not None
        corrected = replace(record, measurement=self.corrections.applied(record.measurement, record.digest))
        if result is not None and result.failed_at != "timing":
            return replace(corrected, status="failed", reason=result.reason, log=result.log)
        if record.status == "infeasible" and self._judged(record).status == "ok":
            return corrected  # infeasible for a reason that no budget expresses
        judged = self._judged(corrected)
        if result is not None and judged.status == "ok":
            return replace(judged, status="infeasible", reason=result.reason)
        return judged

    def _judged(self, record: Record) -> Record:
        return self.judge.judged(replace(record, status="ok", reason=""))

    def records(self, records: Sequence[Record]) -> tuple[Record, ...]:
        """Records in their order, as they are known now."""
        return tuple(self.record(record) for record in records)


def _order(result: BoardResult) -> tuple[int, str, str]:
    assert result.generation is not None
    return result.generation, result.digest, result.date
