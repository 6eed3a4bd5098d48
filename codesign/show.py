"""``codesign show``: a run's front and counts, one candidate, or a search while it runs."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codesign.accuracy import error_words, output_words
from codesign.artifacts import ArtifactStore
from codesign.at_work import Watch
from codesign.board_loop.words import board_json, figures_line, outcome, provenance, results_of, where
from codesign.candidate_words import all_artefacts, all_figures, figure_table, hardware_words, layer_words
from codesign.counting import number_of
from codesign.errors import RunError
from codesign.measurement import Figure, Provenance
from codesign.place import PROGRAM, called
from codesign.predicting import surrogate_errors
from codesign.reading_words import beside_processors, latencies_of, reading_lines
from codesign.record import Final, Record
from codesign.report.boards import corrections_json
from codesign.retrained_words import retrained_json, training_lines
from codesign.run import Run, read_run
from codesign.rungs import rung_words
from codesign.store import Store
from codesign.summary import FrontTable, closing
from codesign.trial import trial_line
from nas.objectives import ERRORS, OBJECTIVES

_LOG_LINES = 30
_REASONS = 5
_POLL_SECONDS = 1.0


def show_run(folder: Path, *, as_json: bool) -> None:
    """Print a run: its front, what became of the others, how the search went."""
    run = read_run(folder)
    if as_json:
        print(json.dumps(run_json(run), indent=2))  # noqa: T201
        return
    console = Console()
    if run.generations:
        console.print(_generations(run))
    console.print(FrontTable(run))
    process = searching_process(folder)
    if process is not None:
        console.print(Text(f"process {process} is searching; watch it with: {PROGRAM} show {called(folder)} --follow"))
    for line in (closing(run), output_words(run.task), *_boards_line(run), *_failures(run)):
        console.print(Text(line), soft_wrap=True)


def show_candidate(folder: Path, prefix: str, *, as_json: bool) -> None:
    """Print everything known of the candidate whose id begins with ``prefix``."""
    with Store.read(folder) as store:
        digest = store.get(prefix).digest
    run = read_run(folder)
    record = next(record for record in run.records if record.digest == digest)
    if as_json:
        print(json.dumps(candidate_json(run, record), indent=2))  # noqa: T201
        return
    console = Console()
    for line in _heading(run, record):
        console.print(Text(line), soft_wrap=True)
    final = run.finals.get(digest)
    if figures := all_figures(record, final):
        console.print(figure_table(figures, record.architecture.hardware.mode))
    for line in (*training_lines(run, digest), *reading_lines(run, record), *_boards(run, record)):
        console.print(Text(line), soft_wrap=True)
    if timed := latencies_of(run, record):
        console.print(beside_processors(timed))
    for line in _where(run, record, final):
        console.print(Text(line), soft_wrap=True)
    for title, log in (("log", record.log), ("log of the final measurement", final.log if final else "")):
        if log:
            console.print(Text(f"\n{title} (its end):\n" + "\n".join(log.splitlines()[-_LOG_LINES:])), soft_wrap=True)


def follow(folder: Path) -> None:
    """Print a search's candidates as they end, and who is at work; returns when no process searches any more."""
    console = Console()
    with Watch(console) as workers:
        _follow(folder, console, workers)
    show_run(folder, as_json=False)


def _follow(folder: Path, console: Console, workers: Watch) -> None:
    shown: set[str] = set()
    generations = trials = 0
    while True:
        process = searching_process(folder)  # before reading, so that the last reading sees everything
        run = _read_if_begun(folder, searched=process is not None)
        if run is not None:
            for trial in run.trials[trials:]:
                error = error_words(trial.error, run.task.validation_samples)
                console.print(Text(trial_line(trial, error)), soft_wrap=True)
            trials = len(run.trials)
            for record in run.records:
                if record.digest not in shown:
                    shown.add(record.digest)
                    console.print(Text(_line(run, record, len(shown))), soft_wrap=True)
            for summary in run.generations[generations:]:
                rungs = "".join(f"{words}, " for words in rung_words(summary))
                console.print(
                    f"generation {summary['number'] + 1}: {rungs}front {summary['front']}, "
                    f"hypervolume {summary['hypervolume']:.4f}"
                )
            generations = len(run.generations)
        if process is None:
            return
        workers.show(folder)
        time.sleep(_POLL_SECONDS)


def searching_process(folder: Path) -> int | None:
    """The process that searches in ``folder`` now.

    Read from the kernel's table: trying the lock instead could refuse a search that starts at that moment.
    """
    try:
        inode = (folder / "lock").stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for lock in locks:
        # e.g. "1: FLOCK  ADVISORY  WRITE 4242 08:01:131 0 EOF"
        fields = lock.split()
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
            return int(fields[4])
    return None


def run_json(run: Run) -> dict[str, Any]:
    """A run as plain JSON values; the keys are documented in docs/json.md."""
    front = {record.digest for record in run.front}
    return {
        "run": str(run.folder.absolute()),
        "searching_process": searching_process(run.folder),
        "study": run.study.model_dump(mode="json"),
        "task": run.task.to_json(),
        "objectives": list(run.study.search.objectives),
        "constraints": [
            {"key": limit.key, "sense": limit.sense, "limit": limit.limit, "unit": limit.unit}
            for limit in run.constraints
        ],
        "reference": run.reference,
        "counts": run.counts,
        "binding": run.binding,
        "generations": list(run.generations),
        "stopped": run.stopped,
        "front": [record.digest for record in run.front],
        "surrogate": surrogate_errors(run.generations),
        "retrained": {digest: retrained_json(one) for digest, one in run.retrained.items()},
        "boards": [board_json(result) for result in run.boards],
        "corrections": corrections_json(run),
        "instruments": [distance.to_json() for distance in run.distances],
        "candidates": [_candidate_line(run, record, on_front=record.digest in front) for record in run.records],
    }


def _candidate_line(run: Run, record: Record, *, on_front: bool) -> dict[str, Any]:
    figures = all_figures(record, run.finals.get(record.digest))
    return {
        "id": record.digest,
        "network": record.architecture.words(),
        "generation": record.generation,
        "status": record.status,
        "reason": record.reason,
        "on_front": on_front,
        "values": {name: figure.value for name, figure in figures.items()},
        "provenances": {name: figure.provenance.value for name, figure in figures.items()},
        "figures": {name: figure.brief_json() for name, figure in figures.items()},
        "corrected": [name for name, figure in figures.items() if figure.provenance is Provenance.CORRECTED],
    }


def candidate_json(run: Run, record: Record) -> dict[str, Any]:
    """A candidate as plain JSON values; the keys are documented in docs/json.md."""
    final = run.finals.get(record.digest)
    store = ArtifactStore(run.folder)
    return {
        "run": str(run.folder.absolute()),
        "id": record.digest,
        "network": record.architecture.words(),
        "architecture": record.architecture.to_json(),
        "generation": record.generation,
        "status": record.status,
        "reason": record.reason or (final.reason if final else ""),
        "log": record.log or (final.log if final else ""),
        "on_front": any(member.digest == record.digest for member in run.front),
        "design": record.artefacts.get("rtl.json", ""),
        "figures": {name: figure.to_json() for name, figure in all_figures(record, final).items()},
        "artefacts": {
            name: str(store.path(digest).absolute()) for name, digest in all_artefacts(record, final).items()
        },
        "retrained": retrained_json(run.retrained[record.digest]) if record.digest in run.retrained else None,
        "boards": [board_json(result) for result in results_of(run, record.digest)],
        "readings": [reading.to_json() for digest, reading in run.readings if digest == record.digest],
        "latencies": latencies_of(run, record),
        "seconds": dict(record.seconds),
        "peak_memory_mib": record.peak_memory_mib,
    }


def _read_if_begun(folder: Path, *, searched: bool) -> Run | None:
    """The run; None where a search has only just started."""
    try:
        return read_run(folder)
    except RunError:
        if searched:
            return None
        raise


def _line(run: Run, record: Record, number: int) -> str:
    line = f"[{number}] {record.digest[:8]}  {record.architecture.words()}  {record.outcome}"
    if record.status != "ok":
        return line
    values = zip(run.study.search.objectives, run.objectives(record), strict=True)
    return f"{line}  " + ", ".join(f"{name} {_value_words(name, value)}" for name, value in values)


def _value_words(name: str, value: float) -> str:
    return f"{value:.4g}" if name in ERRORS else OBJECTIVES[name].words(value)


def _failures(run: Run) -> list[str]:
    """The most frequent reasons of failures, each with a candidate to look at."""
    failed = [(record.digest, record.reason) for record in run.records if record.status == "failed"]
    failed += [(digest, final.reason) for digest, final in run.finals.items() if final.measurement is None]
    examples = {reason: digest for digest, reason in reversed(failed)}
    counts = Counter(reason for _, reason in failed).most_common(_REASONS)
    name = called(run.folder)
    return [f"failed, {count}: {reason} ({PROGRAM} show {name} {examples[reason][:8]})" for reason, count in counts]


def _boards_line(run: Run) -> list[str]:
    """How many candidates ran on boards, and on virtual ones."""
    found = []
    for simulated, words in ((False, "on boards"), (True, "on virtual boards (simulated)")):
        results = [result for result in run.boards if result.simulated is simulated]
        failed = sum(result.failed_at is not None for result in results)
        if results:
            found.append(
                f"{words}: {number_of(len({r.digest for r in results}), 'candidate')}, "
                f"{number_of(len(results), 'run')}, {failed} failed"
            )
    return found


def _generations(run: Run) -> Table:
    table = Table(title="Generations", title_justify="left")
    rungs = ("rungs",) if run.study.rungs.epochs else ()
    for heading in ("generation", *rungs, "candidates so far", "front", "hypervolume"):
        table.add_column(heading, justify="right")
    for summary in run.generations:
        volume = f"{summary['hypervolume']:.4f}"
        passed = ("\n".join(rung_words(summary)),) if rungs else ()
        table.add_row(str(summary["number"] + 1), *passed, str(summary["candidates"]), str(summary["front"]), volume)
    return table


def _heading(run: Run, record: Record) -> list[str]:
    architecture = record.architecture
    final = run.finals.get(record.digest)
    lines = [
        f"{architecture.words()}   {record.digest}",
        f"layers:     {' -> '.join(layer_words(architecture))}",
        f"outputs:    {output_words(run.task)}",
        f"batch norm: {'yes' if architecture.batch_norm else 'no'}",
        f"hardware:   {hardware_words(architecture)}",
        f"generation: {record.generation + 1}",
        f"status:     {record.outcome}{'; on the front' if record in run.front else ''}",
    ]
    if final is not None and final.measurement is None:
        lines.append(f"left the front: {final.reason}")
    return lines


def _boards(run: Run, record: Record) -> list[str]:
    """What became of a candidate on boards, two lines for each time."""
    lines = []
    for result in results_of(run, record.digest):
        lines.append(f"{result.date[:10]} on {where(result)}: {outcome(run, result, record)}")
        lines += [f"    {words}" for words in (figures_line(result), provenance(result)) if words]
    return lines


def _critical_path(figure: Figure) -> str:
    steps = [f"{step['name']} ({step['cell']}, {step['arrival_ns']:.2f} ns)" for step in figure.details["path"]]
    return f"critical path, {number_of(len(steps), 'cell')}: {steps[0]} ... {steps[-1]}"


def _where(run: Run, record: Record, final: Final | None) -> list[str]:
    lines = []
    fmax = record.measurement.figures.get("fmax") if record.measurement else None
    if fmax is not None and fmax.details.get("path"):
        lines.append(_critical_path(fmax))
    if record.seconds:
        stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in record.seconds.items())
        lines.append(f"stages: {stages}")
    if record.peak_memory_mib is not None:
        lines.append(f"peak memory of the worker: {record.peak_memory_mib:.0f} MiB")
    store = ArtifactStore(run.folder)
    return [*lines, *(f"{name}: {store.path(digest)}" for name, digest in all_artefacts(record, final).items())]
