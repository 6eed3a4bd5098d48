"""Two runs side by side: whether they can be compared at all, and their hypervolumes from one reference point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codesign.errors import RunError
from codesign.place import PROGRAM, called
from codesign.run import Run, archive_front
from nas.indicators import Point, hypervolume


@dataclass(frozen=True)
class Comparison:
    """Runs of the same data, target and objectives; ``reference`` is the farther of theirs in each objective.

    ``volumes`` holds each run's hypervolume after each generation, over candidates that passed every check.
    """

    runs: tuple[Run, Run]
    reference: Point
    volumes: tuple[tuple[float, ...], tuple[float, ...]]

    @property
    def ratio(self) -> float | None:
        """The second run's last hypervolume over the first's; None where the first dominates nothing."""
        first, second = (volumes[-1] for volumes in self.volumes)
        return second / first if first > 0 else None

    @property
    def names(self) -> tuple[str, str]:
        """What tells the runs apart: their folders' names, or their paths where those are the same."""
        first, second = (run.folder for run in self.runs)
        return (first.name, second.name) if first.name != second.name else (str(first), str(second))


def compare(first: Run, second: Run) -> Comparison:
    """Compare two runs; RunError naming what differs where comparing them would mean nothing."""
    differences = list(_differences(first, second))
    if differences:
        raise RunError(
            f"{first.folder} and {second.folder} cannot be compared:\n  "
            + "\n  ".join(differences)
            + "\ngive two runs of the same data, target and objectives"
        )
    references = [_reference(run) for run in (first, second)]
    reference = tuple(max(pair) for pair in zip(*references, strict=True))
    return Comparison((first, second), reference, (_volumes(first, reference), _volumes(second, reference)))


def _differences(first: Run, second: Run) -> Iterator[str]:
    pairs = {
        "objectives": [", ".join(run.study.search.objectives) for run in (first, second)],
        "data": [_data(run) for run in (first, second)],
        "faults": [_faults(run) for run in (first, second)],
        "part": [run.task.target.part.name for run in (first, second)],
        "clock": [f"{run.task.target.clock_mhz:g} MHz" for run in (first, second)],
        "latency": ["of the accelerator" if run.study.board.hosts else "of the network" for run in (first, second)],
    }
    for what, (one, other) in pairs.items():
        if one != other:
            yield f"{what}: {one} against {other}"


def _faults(run: Run) -> str:
    """Rates of the faults that objectives are errors under: errors under others mean something else."""
    rates = run.study.robustness.model_dump()
    return ", ".join(f"{name} {rates[name]:g}" for name in run.study.search.objectives if name in rates)


def _data(run: Run) -> str:
    name = run.study.data.name or run.study.data.path
    return f"{name} (SHA-256 {run.task.data_digest[:12]})"


def _reference(run: Run) -> Point:
    if run.reference is None:
        raise RunError(
            f"{run.folder} has no measured candidate to compare; see why: {PROGRAM} show {called(run.folder)}"
        )
    return run.reference


def _volumes(run: Run, reference: Point) -> tuple[float, ...]:
    last = max(record.generation for record in run.records)
    volumes = []
    for generation in range(last + 1):
        records = tuple(record for record in run.records if record.generation <= generation)
        front = archive_front(run.study, records, run.finals)
        volumes.append(hypervolume([run.objectives(record) for record in front], reference))
    return tuple(volumes)
