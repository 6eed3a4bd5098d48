"""A front member in the report: what it is, what it needs, when its layers work, and where each figure comes from."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from codesign.accuracy import error_words
from codesign.artifacts import ArtifactStore
from codesign.board_loop.words import COLUMNS, cells, columns_of, outcome, provenance, results_of, where
from codesign.candidate_words import (
    all_artefacts,
    all_figures,
    figure_details,
    hardware_words,
    layer_words,
    number_words,
)
from codesign.counting import number_of
from codesign.errors import RunError
from codesign.measurement import Figure
from codesign.place import PROGRAM, called
from codesign.record import Record
from codesign.report.html import Cell, Html, bar, drawing, key, note, paragraph, rect, table
from codesign.report.instruments import instruments
from codesign.report.marks import marked
from codesign.run import Run
from codesign.summary import fmax_words, latency
from codesign.target import RESOURCES

SCHEDULE = "design.json"
"""The artefact with the schedule: ``layers`` (``name, mode, latency_cycles, interval_cycles, pe, simd``) and totals."""


def anchor(record: Record) -> str:
    """What links to a winner's section."""
    return f"network-{record.digest[:12]}"


def winner(run: Run, record: Record, *, opened: bool) -> str:
    """The section of one front member; all but the first are folded."""
    figures = all_figures(record, run.finals.get(record.digest))
    error = error_words(figures["val_error"], run.task.validation_samples)
    time, _, timed = latency(run, record)
    costs = marked(f"{figures['lut'].value:,.0f} LUT", figures["lut"]), marked(f"{time:.2f} us", timed)
    short = f"error {error}, {', '.join(costs)}, Fmax {_fmax(record, figures)}"
    parts = [
        f"<summary><b>{escape(record.architecture.words())}</b><span>{escape(short)}</span></summary>",
        _architecture(run, record),
        "<h3>Resources</h3>",
        _resources(run, figures),
        "<h3>Critical path</h3>",
        _critical_path(record, figures),
        _timeline(run, record),
        "<h3>Where its figures come from</h3>",
        _figures(record, figures),
        instruments(run, record),
        _boards(run, record),
        "<h3>Look into it</h3>",
        _inspect(run, record),
    ]
    state = " open" if opened else ""
    return f'<details class="winner" id="{anchor(record)}"{state}>{"".join(parts)}</details>'


def _fmax(record: Record, figures: dict[str, Figure]) -> str:
    return marked(fmax_words(figures["fmax"], record.architecture.hardware.mode), figures["fmax"])


def _architecture(run: Run, record: Record) -> str:
    network = record.architecture
    norm = "with batch normalisation" if network.batch_norm else "without batch normalisation"
    layers = " → ".join(layer_words(network))
    return paragraph(
        f"{layers}; {network.weights} weights, {norm}; {hardware_words(network)}. Found in generation "
        f"{record.generation + 1} of {run.study.study.name}."
    )


def _resources(run: Run, figures: dict[str, Figure]) -> str:
    """Bars of the part with the budget as a line, and of the budget where the study sets one."""
    part, limits = run.task.target.part, {limit.key: limit.limit for limit in run.constraints}
    rows: list[tuple[Cell, ...]] = []
    for name in RESOURCES:
        if name not in figures:
            continue
        used, total, limit = figures[name].value, part.resources[name], limits[name]
        budgeted = getattr(run.study.budget, name) is not None
        line = limit / total if budgeted and total else None
        of_part = f"{_share(used, total)} of {total:,}"
        of_budget = f"{_share(used, limit)} of {limit:,g}" if budgeted else "no budget"
        rows.append(
            (
                f"{used:,g} {figures[name].unit}",
                of_part,
                bar(used / total if total else 0.0, f"{name}: {of_part} of the part", line),
                of_budget,
                bar(used / limit if limit else 0.0, f"{name}: {of_budget} of the budget") if budgeted else "",
                figures[name].provenance.value,
            )
        )
    headings = ("used", "of the part", "", "of the budget", "", "provenance")
    words = f"{part.name}; the dashed line in the part's bar is the budget."
    return f'<div class="bars">{table(headings, rows)}</div>' + note(words)


def _share(used: float, total: float) -> str:
    return f"{100 * used / total:.1f} %" if total else ("0 %" if not used else "over")


def _critical_path(record: Record, figures: dict[str, Figure]) -> str:
    fmax = figures["fmax"]
    period = 1000.0 / fmax.value
    text = f"Fmax {_fmax(record, figures)} ({fmax.provenance.value}): the slowest path takes {period:.2f} ns."
    steps = fmax.details.get("path")
    if not steps:
        return paragraph(text)
    rows: list[tuple[Cell, ...]] = []
    before = 0.0
    for step in steps:
        arrival = step["arrival_ns"]
        picture = rect(100 * before / period, 100 * (arrival - before) / period, 2, 6)
        label = f"from {before:.2f} to {arrival:.2f} ns"
        rows.append((step["cell"], f"{arrival:.2f}", drawing(picture, label), str(step["fanout"]), step["name"]))
        before = arrival
    headings = ("cell", "signal there, ns", f"0 to {period:.2f} ns", "fan-out", "name in the RTL or netlist")
    return paragraph(text) + table(headings, rows, wide=(4,), numbers=(1, 3))


def _timeline(run: Run, record: Record) -> str:
    """Layers in the order of the data: when each has the first vector, and how long it takes for the next."""
    digest = record.artefacts.get(SCHEDULE)
    if digest is None:
        return ""
    title = "<h3>Timeline of its layers</h3>"
    try:
        schedule: dict[str, Any] = json.loads(ArtifactStore(run.folder).get(digest))
    except RunError as error:
        return title + paragraph(f"The schedule cannot be shown: {error}")
    layers = schedule["layers"]
    ends, start = [], 0
    for layer in layers:
        ends.append(start + max(layer["latency_cycles"], layer["interval_cycles"]))
        start += layer["latency_cycles"]
    scale = 100.0 / max(1, *ends)
    rows, start = [], 0
    for layer in layers:
        rows.append(_layer(layer, start, scale))
        start += layer["latency_cycles"]
    clock = run.study.target.clock_mhz
    latency, interval = schedule["latency_cycles"], schedule["interval_cycles"]
    text = (
        f"The first result leaves after {number_of(latency, 'cycle')} ({latency / clock:.2f} us at {clock:g} MHz); "
        f"a new input is taken every {number_of(interval, 'cycle')} ({1e6 * clock / interval:,.0f} per second)."
    )
    legend = (
        f"{key('used')} latency: from the layer's first input to its first output; "
        f"{key('second')} interval: until it takes the next"
    )
    headings = ("layer", f"cycles 0 to {max(ends):,}", "latency, cycles", "interval, cycles", "mode", "PE × SIMD")
    return title + paragraph(text) + table(headings, rows, numbers=(2, 3)) + note(Html(legend))


def _layer(layer: dict[str, Any], start: int, scale: float) -> tuple[Cell, ...]:
    latency, interval = layer["latency_cycles"], layer["interval_cycles"]
    shapes = rect(scale * start, scale * latency, 0, 4.5) + rect(scale * start, scale * interval, 5.5, 4.5, "second")
    label = f"{layer['name']}: starts after {number_of(start, 'cycle')}, latency {latency}, interval {interval}"
    lanes = f"{layer['pe']} × {layer['simd']}" if layer["pe"] else ""
    return layer["name"], drawing(shapes, label), f"{latency:,}", f"{interval:,}", layer["mode"], lanes


def _figures(record: Record, figures: dict[str, Figure]) -> str:
    mode = record.architecture.hardware.mode
    rows = [
        (
            name,
            number_words(figure.value),
            figure.unit,
            figure.provenance.value,
            f"{figure.tool} {figure.version}",
            figure.date,
            figure_details(name, figure, mode),
        )
        for name, figure in figures.items()
    ]
    return table(("figure", "value", "unit", "provenance", "tool", "date", "details"), rows, wide=(6,), numbers=(1,))


def _boards(run: Run, record: Record) -> str:
    """What it came to on boards; nothing where it was on none."""
    results = results_of(run, record.digest)
    if not results:
        return ""
    columns = columns_of(results)
    rows = [
        (where(result), result.date[:10], outcome(run, result, record), *cells(result, columns), provenance(result))
        for result in results
    ]
    headings = ("board", "date", "outcome", *(COLUMNS[name] for name in columns), "provenance")
    text = "Latency is cycles by the hardware's counters over the measured clock; throughput includes the software."
    if any(result.simulated for result in results):
        text += " On a virtual board nothing is measured: its figures are simulated."
    numbers = range(3, 3 + len(columns))
    return f"<h3>On boards</h3>{paragraph(text)}{table(headings, rows, wide=(2, 3 + len(columns)), numbers=numbers)}"


def _inspect(run: Run, record: Record) -> str:
    commands = f"<pre>{PROGRAM} show {escape(called(run.folder))} {record.digest[:12]}</pre>"
    artefacts = all_artefacts(record, run.finals.get(record.digest))
    if not artefacts:
        return commands
    text = paragraph("Its artefacts, each in the run's folder under artifacts/, named by the SHA-256 of its content:")
    return commands + text + table(("artefact", "SHA-256"), list(artefacts.items()), code=(1,))
