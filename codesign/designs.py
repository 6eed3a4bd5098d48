"""Which design a figure is of: a candidate that is trained again has other weights, and so is other hardware."""

from __future__ import annotations

from collections.abc import Iterable

from codesign.record import Record


class Designs:
    """The designs that were built of each candidate, of all ``records`` that are stored of it."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._of: dict[str, set[str]] = {}
        for record in records:
            self._of.setdefault(record.digest, set()).add(record.design)

    def of(self, digest: str, design: str) -> str | None:
        """The ``design`` that was measured of candidate ``digest``.

        Without one, as stores from before designs were kept have it, the candidate's only one; None where it had more:
        then nobody knows which it was.
        """
        known = self._of.get(digest, {digest})
        return design or (next(iter(known)) if len(known) == 1 else None)
