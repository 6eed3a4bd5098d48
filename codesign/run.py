"""Run: one search's folder and everything its store holds, as a value."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from codesign.board_loop.corrections import Corrections
from codesign.board_loop.known import Known
from codesign.board_loop.result import BoardResult
from codesign.budget import binding, limits
from codesign.designs import Designs
from codesign.errors import RunError, StorageError, nearest
from codesign.files import write_whole
from codesign.instrument_errors import Distance, distances
from codesign.judging import Judge
from codesign.place import PROGRAM, ROOT
from codesign.reading import Reading
from codesign.record import STATUSES, Final, Record
from codesign.retraining import Retrained, Retrainings, reported, reported_finals
from codesign.store import FILE, Store
from codesign.study import Study, parse_study
from codesign.task import Task
from codesign.trial import Trial
from nas.indicators import Point, front
from nas.objectives import Constraint, constraints, values


@dataclass(frozen=True)
class Run:
    """A snapshot of a run. ``records`` are ordered by generation and place in it, whenever each ended.

    Where boards measured some of them during the search, records are as they are known by that: see
    :mod:`codesign.board_loop.known`; ``corrections`` are what was applied, and ``stored`` are the records before.
    Of candidates that were trained again, ``records`` and ``finals`` are those of the training that is reported;
    ``retrained`` has all, and what was before. ``readings`` are what instruments that were asked for said of
    candidates, by digest. ``stopped`` has the ``generation`` after which the search ended early, and the ``reason``;
    None where it did not, by now.
    """

    folder: Path
    study: Study
    task: Task
    records: tuple[Record, ...]
    trials: tuple[Trial, ...]
    retrained: dict[str, Retrained]
    finals: dict[str, Final]
    boards: tuple[BoardResult, ...]
    generations: tuple[dict[str, Any], ...]
    reference: Point | None
    corrections: Corrections
    stored: tuple[Record, ...]
    readings: tuple[tuple[str, Reading], ...]
    stopped: Mapping[str, Any] | None

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """The limits every candidate must keep, in absolute numbers."""
        return study_constraints(self.study, self.task)

    @cached_property
    def front(self) -> tuple[Record, ...]:
        """The non-dominated feasible candidates of all ever evaluated, ordered by their objectives."""
        return archive_front(self.study, self.records, self.finals)

    @cached_property
    def distances(self) -> tuple[Distance, ...]:
        """How far off each cheaper instrument was where a better one measured the same design."""
        return tuple(distances(self.built, self.boards, self.readings))

    @cached_property
    def built(self) -> tuple[Record, ...]:
        """Records as they are stored, and those of every training after the search: each built design has one."""
        again = (training.record for one in self.retrained.values() for training in one.trainings)
        return (*self.stored, *again)

    @cached_property
    def designs(self) -> Designs:
        """Which designs were built of each candidate."""
        return Designs(self.built)

    @property
    def unfinished(self) -> bool:
        """Whether its search did not come to its end: a generation is not whole, or the front not measured further."""
        last = len(self.generations)
        return any(record.generation >= last for record in self.records) or any(
            record.digest not in self.finals for record in self.front
        )

    @property
    def counts(self) -> dict[str, int]:
        """Number of candidates by status."""
        found = Counter(record.status for record in self.records)
        return {status: found[status] for status in STATUSES}

    @property
    def binding(self) -> str | None:
        """The budget that most candidates miss."""
        return binding(self.constraints, self.records, self.study.target.clock_mhz)

    def objectives(self, record: Record) -> tuple[float, ...]:
        """The study's objectives of a measured candidate."""
        assert record.measurement is not None
        return values(self.study.search.objectives, record.measurement, self.study.target.clock_mhz)

    def to_pandas(self) -> Any:
        """All candidates as a pandas DataFrame, one a row, in the order asked; the index is the digest.

        Columns: ``network`` (in words), ``generation`` (from 0), ``status``, ``reason``, ``on_front``, and for each
        figure two: its value by the figure's name, and ``NAME_provenance``; empty where it was not measured.
        """
        import pandas as pd

        on_front = {record.digest for record in self.front}
        rows = {}
        for record in self.records:
            row = {
                "network": record.architecture.words(),
                "generation": record.generation,
                "status": record.status,
                "reason": record.reason,
                "on_front": record.digest in on_front,
            }
            final = self.finals.get(record.digest)
            for measured in (record.measurement, final.measurement if final else None):
                for name, figure in measured.figures.items() if measured else ():
                    row |= {name: figure.value, f"{name}_provenance": figure.provenance.value}
            rows[record.digest] = row
        return pd.DataFrame.from_dict(rows, orient="index")


def archive_front(study: Study, records: tuple[Record, ...], finals: dict[str, Final]) -> tuple[Record, ...]:
    """The front over ``records``; a candidate that failed its final measurement is not on it."""
    kept = [record for record in records if record.status == "ok" and not _failed_later(record, finals)]
    points = [
        values(study.search.objectives, record.measurement, study.target.clock_mhz)
        for record in kept
        if record.measurement is not None
    ]
    return tuple(kept[index] for index in front(points))


def study_constraints(study: Study, task: Task) -> tuple[Constraint, ...]:
    """The study's budgets on its part, in absolute numbers, and its clock."""
    return constraints(limits(study.budget, task.target), study.target.clock_mhz)


def run_folder(study: Study) -> Path:
    """Where the results of a study live."""
    return ROOT / study.name


def find_run(which: str | None = None) -> Path:
    """The folder of a run given by name or path; the newest without one. RunError when there is none."""
    known = sorted(path.parent for path in ROOT.glob(f"*/{FILE}"))
    if which is None:
        if not known:
            raise RunError(f"no runs in {ROOT.absolute()}; start with: {PROGRAM} search")
        return max(known, key=_last_written)
    for folder in (ROOT / which, Path(which)):
        if (folder / FILE).is_file():
            return folder
    hint = nearest(which, [path.name for path in known]) if known else f"there are none yet; begin: {PROGRAM} search"
    raise RunError(f"no run {which!r} in {ROOT.absolute()}; {hint}")


def read_run(folder: Path) -> Run:
    """Everything stored of a run, also while it is searched."""
    with Store.read(folder) as store:
        return snapshot(folder, store)


def snapshot(folder: Path, store: Store) -> Run:
    """Everything in ``store`` now."""
    described, task_values, reference = store.meta("study"), store.meta("task"), store.meta("reference")
    if described is None or task_values is None:
        raise RunError(f"{folder} holds no search yet; start with: {PROGRAM} search")
    study, task = parse_study(described, str(folder / FILE)), Task.from_json(task_values)
    records = sorted(store.records(), key=lambda record: (record.generation, record.index))
    boards = store.boards()
    judge = Judge(study.search.objectives, study_constraints(study, task), study.target.clock_mhz)
    known = Known.of(judge, records, boards)
    searched = known.records(records)
    retrained = Retrainings.of(study.final.seeds, store.retrainings()).retrained(searched)
    return Run(
        folder,
        study,
        task,
        reported(searched, retrained),
        tuple(store.trials()),
        retrained,
        reported_finals(store.finals(), retrained),
        tuple(boards),
        tuple(store.generations()),
        tuple(reference) if reference is not None else None,
        known.corrections,
        tuple(records),
        tuple(store.readings()),
        store.meta("stopped"),
    )


def open_for_search(folder: Path, study: Study, task: Task) -> Store:
    """The run's store, for writing; made if missing.

    Raises RunError if the run is another study's, is being searched, or its data are no longer the same.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {folder}: {error.strerror}") from None
    store = Store.open(folder)
    try:
        _claim(store, folder, study, task)
    except BaseException:
        store.close()
        raise
    return store


def free_name(folder: Path) -> str:
    """The first of NAME-2, NAME-3, ... that no run has."""
    names = (f"{folder.name}-{number}" for number in itertools.count(2))
    return next(name for name in names if not folder.with_name(name).exists())


def _claim(store: Store, folder: Path, study: Study, task: Task) -> None:
    before = store.meta("study")
    if before is None:
        store.set_meta("study", study.to_toml())
    else:
        changed = parse_study(before, str(folder / FILE)).hinders(study)
        if changed:
            raise RunError(
                f"{folder} holds another study named {study.name!r}:\n  "
                + "\n  ".join(changed)
                + f'\nundo the change to continue that search, or search anew with study.name = "{free_name(folder)}"'
            )
    described = store.meta("task")
    if described is None:
        store.set_meta("task", task.to_json())
    elif Task.from_json(described) != task:
        raise RunError(
            f"the data or the part are no longer what {folder} was searched with; put them back to continue, or search "
            "under another study.name"
        )
    _write_study(folder / "study.toml", study)


def _write_study(path: Path, study: Study) -> None:
    """For people; what counts is in the store."""
    if not path.exists():
        write_whole(path, study.to_toml(), "run the same command again")


def _failed_later(record: Record, finals: dict[str, Final]) -> bool:
    final = finals.get(record.digest)
    return final is not None and final.measurement is None


def _last_written(folder: Path) -> float:
    times = [0.0]
    for path in folder.glob(f"{FILE}*"):
        with suppress(FileNotFoundError):  # SQLite removes the -wal when the search ends
            times.append(path.stat().st_mtime)
    return max(times)
