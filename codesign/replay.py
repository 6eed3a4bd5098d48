"""A search that continues asks for what it asked for before, or it is another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from codesign.architecture import Architecture
from codesign.errors import RunError
from codesign.record import Record


def require_replay(
    folder: Path, stored: Iterable[Record], generation: int, asked: Sequence[Architecture], space: str
) -> None:
    """RunError where a candidate is ``stored`` as asked for in this generation that is not ``asked`` now.

    Study and data are compared when a run is opened. This finds what neither tells: a space whose module was changed,
    or an algorithm, here or in a library, that draws other numbers.
    """
    now = set(asked)
    before = (record.architecture for record in stored if record.generation == generation and record.index < len(now))
    strange = next((architecture for architecture in before if architecture not in now), None)
    if strange is not None:
        raise RunError(
            f"{folder} has {strange.words()} in generation {generation + 1}, which the same study would not ask for "
            f"now: the space {space!r} is no longer what it was, or codesign or its packages are of another version; "
            "put them back to continue, or search under another study.name"
        )
