"""A search that continues asks for what it asked for before, and measures as it did, or it is another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from codesign.architecture import Architecture
from codesign.errors import RunError
from codesign.record import Record
from codesign.run import free_name
from codesign.store import Store
from codesign.task import Task
from hw.measure import timing
from hw.measure.delays import DelayModel


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


def require_timing(store: Store, stored: Iterable[Record]) -> None:
    """RunError where the Fmax of a candidate that is ``stored`` is of another version or fit of the timing model.

    To be called before any is measured: one front of both would order candidates by who was measured when. They are not
    modelled anew from their netlists: the generations after them were asked for because of what was said of them then.
    """
    figures = (record.measurement.figures.get("fmax") for record in stored if record.measurement is not None)
    versions = {figure.version for figure in figures if figure is not None and figure.tool == timing.TOOL}
    now = timing.version(DelayModel.for_part(Task.from_json(store.meta("task")).target.part))
    others = sorted(versions - {now})
    if others:
        folder = store.path.parent
        raise RunError(
            f"{folder} has Fmax by version {' and '.join(others)} of the timing model, and this codesign has version "
            f"{now}, whose figures are not comparable (behind the +: which fit of net delays); continue with the "
            "codesign that began it, before any recalibration since, or search anew with "
            f'study.name = "{free_name(folder)}"'
        )
