"""The end of a search in words: the front as a table, what failed, what binds, what to do next."""

from __future__ import annotations

import math

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from codesign.measurement import Figure
from codesign.record import Record
from codesign.run import Run


def print_summary(run: Run, console: Console) -> None:
    """Print the front and what else the search came to."""
    console.print(front_table(run))
    console.print(Text(closing(run)), soft_wrap=True)


def statistical_error(error: float, samples: int) -> float:
    """Standard error of an error rate counted on ``samples``, both 0 to 1.

    Half the Wilson score interval at one standard deviation (Wilson 1927), which is not zero when no sample was wrong.
    """
    return math.sqrt(error * (1 - error) / samples + 1 / (4 * samples**2)) / (1 + 1 / samples)


def percent_error(error: float, samples: int) -> str:
    """An error rate with its statistical error, e.g. ``5.2 ± 1.3 %``."""
    return f"{100 * error:.1f} ± {100 * statistical_error(error, samples):.1f} %"


def front_table(run: Run) -> RenderableType:
    """The front, one candidate a line, every figure with how it came to be."""
    table = Table(title=f"Pareto front of {run.study.name}: {len(run.front)} networks", title_justify="left")
    for heading in ("validation error", "test error", "latency", "LUT", "Fmax (modelled)"):
        table.add_column(heading, justify="right")
    table.add_column("network", overflow="fold")
    table.add_column("id")
    for record in run.front:
        table.add_row(*_row(run, record))
    return Group(table, *(Text(note, style="dim") for note in _notes(run)))


def closing(run: Run) -> str:
    """Counts, the binding budget, where the run is, and what to do next."""
    counts = run.counts
    lines = [f"{len(run.records)} candidates: {counts['ok']} within budget, {counts['infeasible']} over, "
             f"{counts['failed']} failed"]  # fmt: skip
    lines.append(f"binding: {_named(run, run.binding)}" if run.binding else "no budget binds")
    if run.generations:
        lines.append(f"hypervolume: {run.generations[-1]['hypervolume']:.4f}")
    lines.append(f"run: {run.folder}")
    name = run.folder.name
    lines.append(f"next: codesign report {name}; codesign show {name} {run.front[0].digest[:8]}" if run.front else "")
    return "\n".join(line for line in lines if line)


def _row(run: Run, record: Record) -> tuple[str, ...]:
    measured, task = record.measurement, run.task
    assert measured is not None
    final = run.finals.get(record.digest)
    tested = final.measurement.figures.get("test_error") if final and final.measurement else None
    lut = measured.value("lut")
    cycles = measured.value("latency_cycles")
    return (
        percent_error(measured.value("val_error"), task.validation_samples),
        percent_error(tested.value, task.test_samples) if tested else "",
        f"{cycles / run.study.target.clock_mhz:.2f} us ({cycles:.0f} cycles)",
        f"{lut:,.0f} ({100 * lut / task.target.part.resources['lut']:.1f} %)",
        _clock(measured.figures["fmax"]),
        record.architecture.words(),
        record.digest[:8],
    )


def _clock(fmax: Figure) -> str:
    """Modelled Fmax with the model's median error; a model without calibration has none to show."""
    error = fmax.details.get("error", {}).get("median")
    return f"{fmax.value:.0f} ± {fmax.value * error:.0f} MHz" if error is not None else f"{fmax.value:.0f} MHz"


def _notes(run: Run) -> list[str]:
    clock = run.study.target.clock_mhz
    notes = [f"latency at {clock:g} MHz; errors ± one standard error; test data were not seen by the search"]
    details = [record.measurement.figures["fmax"].details for record in run.front if record.measurement]
    errors = [found["error"]["median"] for found in details if found.get("error")]
    model = "Fmax: a timing model of the synthesized netlist, not routed"
    if errors:
        notes.append(f"{model}; its median error is {100 * max(errors):.1f} %")
    else:
        notes.append(f"{model}, and not calibrated for this part")
    return notes


def _named(run: Run, key: str) -> str:
    limit = next(limit for limit in run.constraints if limit.key == key)
    return f"{key} ({limit.sense} {limit.limit:,g} {limit.unit})"
