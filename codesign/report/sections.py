"""What a report says of a whole run: front, data, what failed, what the figures mean, how to get it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from codesign.accuracy import RMSE_UNIT, error_words, output_words
from codesign.budget import Miss, misses
from codesign.candidate_words import all_figures, days
from codesign.choosing import chooses
from codesign.counting import number_of
from codesign.measurement import Figure, Provenance
from codesign.place import PROGRAM, called
from codesign.predicting import surrogate_errors
from codesign.record import SHORT_ERROR, Record
from codesign.report.html import Cell, Html, note, paragraph, table
from codesign.report.marks import marked
from codesign.report.winner import anchor
from codesign.retrained_words import spread_words
from codesign.run import Run
from codesign.summary import fmax_note, fmax_words, front_notes, further_objectives, latency, objective_words
from codesign.task import Task
from nas.indicators import Point
from nas.objectives import ERRORS, OBJECTIVES
from nas.surrogate import FEWEST

MEANINGS = {
    Provenance.TRAINED: "counted by running the exact network on data",
    Provenance.COUNTED: "follows from the network's description; says nothing of hardware",
    Provenance.SIMULATED: "counted in a simulation of the RTL, every output bit compared",
    Provenance.SCHEDULED: "known from the schedule before simulation",
    Provenance.SYNTHESIZED: "counted in the netlist that Yosys made for the part; Vivado counts differently",
    Provenance.MODELLED: "a timing model applied to the synthesized netlist; not placed, not routed",
    Provenance.CORRECTED: "a weaker figure times the ratio that other candidates showed on boards or routed",
    Provenance.ESTIMATED: "a structural lower bound; nothing was built",
    Provenance.ROUTED: "after place and route",
    Provenance.ON_BOARD: "measured on the board",
}
_OF_FIGURE = {
    "toggles": "counted in a simulation of the mapped netlist, every output bit compared",
    "csim_mismatches": "counted in hls4ml's C simulation of the same network, compiled with g++",
}
"""What is simulated, and is not the RTL."""


def where(run: Run) -> str:
    """Data, place and clock in one line."""
    target = run.task.target
    place = target.words()
    return f"{run.study.data.name or run.study.data.path} on {place} at {target.clock_mhz:g} MHz"


def front(run: Run, *, linked: bool) -> str:
    """The front as a table; ``linked`` where each network has its own section."""
    text = (
        f"No candidate is better than one of these in every objective ({', '.join(run.study.search.objectives)}). "
        "Validation data selected them; test data played no part. ± is one standard error, from the number of samples."
    )
    if not run.front:
        return paragraph("No candidate keeps every budget.")
    more = further_objectives(run)
    costs = ("validation error", "test error", "latency", "cycles", "LUT")
    headings = ("network", "id", *costs, *more.values(), "Fmax (modelled)")
    rows = [_front_row(run, record, list(more), linked=linked) for record in run.front]
    pairs = [(all_figures(record, None)["fmax"], record.architecture.hardware.mode) for record in run.front]
    notes = note("; ".join([fmax_note(pairs), *front_notes(run)]))
    return paragraph(text) + table(headings, rows, numbers=range(2, 7 + len(more))) + notes


def _front_row(run: Run, record: Record, extra: Sequence[str], *, linked: bool) -> tuple[Cell, ...]:
    figures, target = all_figures(record, run.finals.get(record.digest)), run.task.target
    time, cycles, timed = latency(run, record)
    lut = figures["lut"]
    words = record.architecture.words()
    return (
        Html(f'<a href="#{anchor(record)}">{escape(words)}</a>') if linked else words,
        record.digest[:8],
        _percent(figures.get("val_error"), run.task.validation_samples),
        _percent(figures.get("test_error"), run.task.test_samples),
        marked(f"{time:.2f} us", timed),
        f"{cycles:.0f}",
        marked(f"{lut.value:,.0f} ({100 * lut.value / target.part.resources['lut']:.1f} %)", lut),
        *(objective_words(name, run, record) for name in extra),
        marked(fmax_words(figures["fmax"], record.architecture.hardware.mode), figures["fmax"]),
    )


def _percent(figure: Figure | None, samples: int) -> str:
    return error_words(figure, samples) if figure is not None else ""


def reference_words(run: Run, reference: Point) -> str:
    """What a hypervolume is, and up to which point."""
    pairs = zip(run.study.search.objectives, reference, strict=True)
    point = ", ".join(f"{name} {value:,.6g} {OBJECTIVES[name].unit}".strip() for name, value in pairs)
    return (
        "The share of the objectives' room that the front dominates, from 0 to 1 (larger is better), up to the "
        f"reference point ({point})."
    )


def data(run: Run) -> str:
    """What was learned: samples, classes, how inputs are scaled."""
    task, study = run.task, run.study.data
    rows = [
        ("dataset", study.name or study.path or ""),
        ("inputs", f"{task.inputs:,}, scaled by {study.scale}"),
        ("validation samples", f"{task.validation_samples:,} ({100 * study.validation:g} % of the training data)"),
        ("test samples", f"{task.test_samples:,}, not seen by the search"),
        _baseline(task),
        ("SHA-256 of the data", task.data_digest),
    ]
    if not task.class_names:
        text = f"{output_words(task)}. Errors are in {RMSE_UNIT}: root mean square errors, each target divided by "
        text += (
            "its standard deviation in the training samples. 0 is perfect, 1 is as good as always answering the mean."
        )
        return table(("property", "value"), rows, wide=(0, 1)) + paragraph(text)
    names = "".join(f"<li><small>{place}</small> {escape(name)}</li>" for place, name in enumerate(task.class_names))
    classes = paragraph(f"{task.outputs} classes, in the order of the network's outputs:")
    return table(("property", "value"), rows, wide=(0, 1)) + classes + f'<ol class="classes">{names}</ol>'


def _baseline(task: Task) -> tuple[str, str]:
    if task.class_names:
        return "error of always answering the most frequent class", f"{100 * task.majority_error:.1f} %"
    return "error of always answering the mean", f"RMSE {task.majority_error:.3f}"


def reasons(run: Run) -> str:
    """How many failed or left the front for which reason, missed which budget, or fit no folding; with examples."""
    failed = [("failed", record.reason, record.digest) for record in run.records if record.status == "failed"]
    left = [(digest, final.reason) for digest, final in run.finals.items() if final.measurement is None]
    found = [*failed, *(("left the front", reason, digest) for digest, reason in left)]
    examples = {(status, reason): digest for status, reason, digest in reversed(found)}
    counts = Counter((status, reason) for status, reason, _ in found).most_common()
    rows = [(status, str(count), reason, _show(run, examples[status, reason])) for (status, reason), count in counts]
    missed: dict[str, list[tuple[Miss, str]]] = {}
    for record in run.records:
        for miss in misses(run.constraints, record, run.study.target.clock_mhz):
            missed.setdefault(miss.constraint.key, []).append((miss, record.digest))
    for key in sorted(missed, key=lambda key: -len(missed[key])):
        nearest, digest = min(missed[key], key=lambda pair: pair[0].violation)
        rows.append(("over budget", str(len(missed[key])), f"the nearest: {nearest.words()}", _show(run, digest)))
    rows += _unfit(run) + _dropped(run)
    headings = ("status", "candidates", "reason", "an example")
    return table(headings, rows, wide=(2,), numbers=(1,), code=(3,)) if rows else paragraph("Nothing failed.")


def _unfit(run: Run) -> list[tuple[str, str, str, str]]:
    """How many cannot be folded to fit, which no figure of theirs says."""
    clock = run.study.target.clock_mhz
    infeasible = [record for record in run.records if record.status == "infeasible"]
    found = [record for record in infeasible if not misses(run.constraints, record, clock)]
    words = [f"one of them: {record.reason}" for record in found[:1]]
    return [("does not fit", str(len(found)), text, _show(run, found[0].digest)) for text in words]


def _dropped(run: Run) -> list[tuple[str, str, str, str]]:
    """For each rung, how many it dropped, and that of them with the smallest error, of equals the first in its rung.

    Places would not tell who came nearest to going on: each generation has its own, and they are not of errors alone.
    """
    found: dict[int, list[tuple[float, float, Record]]] = {}
    for record in run.records:
        if record.status == "dropped":
            short = all_figures(record, None)[SHORT_ERROR]
            place = short.details["place"] / short.details["of"]
            found.setdefault(short.details["rung"], []).append((short.value, place, record))
    return [
        (
            f"dropped at rung {rung}",
            str(len(dropped)),
            f"that with the smallest error: {_why(record)}",
            _show(run, record.digest),
        )
        for rung, dropped in sorted(found.items())
        for *_, record in [min(dropped, key=lambda one: one[:2])]
    ]


def _why(record: Record) -> str:
    """The reason of a dropped candidate, without the rung."""
    return record.reason.partition(": ")[2]


def rungs(run: Run) -> str:
    """What the short trainings were, and how many went on in each generation."""
    names = [name for name in run.study.search.objectives if name not in ERRORS]
    source = "what is predicted of" if run.study.rungs.surrogate else "what their structure says of"
    known = f"their error and {source} {', '.join(names)}" if names else "their error"
    epochs, whole = run.study.rungs.epochs, run.study.search.epochs
    text = (
        f"Each generation trains its candidates for {', then '.join(map(str, epochs))} of {number_of(whole, 'epoch')}. "
        f"{100 * run.study.rungs.share:g} % of them go on, ranked by {known}: first those that no other one dominates. "
    )
    if run.study.rungs.surrogate and whole in epochs:
        text += f"More go on where fewer than {FEWEST} candidates were measured before: a surrogate needs as many. "
    if chooses(run.study):
        others = sum(rung.get("others", 0) for summary in run.generations for rung in summary.get("rungs", ()))
        text += (
            "Once a surrogate can predict hardware, it is instead chosen who is synthesized and simulated after the "
            "full training: of all networks trained by then, in all hardware that the space has for them, as many as "
            "before, by the hypervolume that they promise. Of these, networks that had been trained in an earlier "
            f"generation, or went into other hardware than was asked for: {others}. "
        )
    else:
        text += "Only who passes every rung is trained in full, synthesized and simulated. "
    text += (
        "Who cannot keep a budget by structure alone, fits in no folding, or failed, is not among a rung's candidates."
    )
    rows = [
        (
            str(summary["number"] + 1),
            str(number),
            *(str(rung.get(name, 0)) for name in ("epochs", "entered", "passed", "others")),
        )
        for summary in run.generations
        for number, rung in enumerate(summary.get("rungs", ()), 1)
    ]
    passed = table(("generation", "rung", "epochs", "candidates", "went on", "others"), rows, numbers=range(6))
    return paragraph(text) + passed + _surrogate(run)


def _surrogate(run: Run) -> str:
    """How far the surrogate was off, where there is one."""
    if not run.study.rungs.surrogate:
        return ""
    errors = surrogate_errors(run.generations)
    text = (
        "LUT, flip-flops, Fmax and latency were predicted from the candidates measured in earlier generations, and "
        "ranked at the better end of their uncertainty. Errors are relative, on candidates that were measured after "
        "they had been predicted; nothing that was only predicted is on the front."
    )
    if not errors:
        return paragraph(f"{text} Too few candidates were measured to predict others.")
    rows = [
        (name, f"{one['candidates']:.0f}", f"{100 * one['median']:.1f} %", f"{100 * one['p90']:.1f} %")
        for name, one in errors.items()
    ]
    headings = ("predicted", "candidates", "median error", "90th percentile")
    return paragraph(text) + table(headings, rows, numbers=range(1, 4))


def retrained(run: Run) -> str:
    """What was trained again after the search, and how much its trainings differ."""
    times, epochs = number_of(run.study.final.seeds, "time"), number_of(run.study.final_epochs, "epoch")
    text = (
        f"When the search was over, each network of its front was trained again {times} from other seeds, for "
        f"{epochs}, built, synthesized and simulated anew: other weights are other hardware. Of each the training with "
        "the smallest validation error is reported; whoever came onto the front by that was trained again too. What "
        "the search had measured is in its column for comparison only."
    )
    rows = []
    for digest, one in run.retrained.items():
        taken, final = one.reported.record, one.reported.final
        why = taken.reason or (final.reason if final else "")
        state = "on the front" if any(record.digest == digest for record in run.front) else why or "dominated"
        before = all_figures(one.before, None)
        searched = f"{_percent(before['val_error'], run.task.validation_samples)}, {before['lut'].value:,.0f} LUT"
        spreads = (spread_words(run, one, name) for name in ("val_error", "test_error", "lut", "latency_cycles"))
        rows.append((taken.architecture.words(), digest[:8], searched, *spreads, state))
    headings = ("network", "id", "in the search", "validation error", "test error", "LUT", "cycles", "now")
    return paragraph(text) + table(headings, rows, wide=(7,), numbers=range(2, 7))


def _show(run: Run, digest: str) -> str:
    return f"{PROGRAM} show {called(run.folder)} {digest[:8]}"


def provenances(run: Run) -> str:
    """One line for each kind of figure among the front's: how it came to be, with what and when; then how far off."""
    kinds: dict[tuple[str, ...], set[str]] = {}
    for record in run.front:
        for name, figure in all_figures(record, run.finals.get(record.digest)).items():
            tool = f"{figure.tool} {figure.version}"
            kinds.setdefault((name, figure.unit, figure.provenance.value, tool), set()).add(figure.date)
    rows = [
        (*kind, days(dates), _OF_FIGURE.get(kind[0], MEANINGS[Provenance(kind[2])])) for kind, dates in kinds.items()
    ]
    return table(("figure", "unit", "provenance", "tool", "date", "which means"), rows, wide=(5,)) + _distances(run)


_DISTANCES = (
    "Where two instruments measured the same design: the absolute error of the cheaper one relative to the better one "
    "(to 1 where that says 0 or a half), and Kendall's rank correlation (1: it orders the designs alike). A bound is "
    "an Fmax that was only asked to meet the clock; it counts towards no error."
)


def _distances(run: Run) -> str:
    """How far off cheaper instruments were; nothing where no design was measured twice."""
    if not run.distances:
        return ""
    rows = [
        (
            found.quantity,
            " ".join((found.cheaper.words(), ", ".join(found.cheaper.versions))).rstrip(),
            " ".join((found.better.words(), ", ".join(found.better.versions))).rstrip(),
            str(found.designs),
            str(found.bounds),
            *(f"{100 * error:.1f} %" if error is not None else "–" for error in (found.median, found.p90)),
            f"{found.tau:.2f}" if found.tau is not None else "–",
        )
        for found in run.distances
    ]
    headings = (
        "figure",
        "cheaper",
        "better",
        "designs",
        "bounds",
        "median error",
        "90th percentile",
        "rank correlation",
    )
    return f"<h3>How far off the cheaper instruments are</h3>{paragraph(_DISTANCES)}" + table(
        headings, rows, numbers=(3, 4, 5, 6, 7)
    )


def reproduce(run: Run) -> str:
    """The command and the study."""
    end = ", searched to its end" if run.unfinished else ""
    text = f"The study below, saved as study.toml, gives the same front with the same version of codesign{end}."
    return (
        f"{paragraph(text)}<pre>{PROGRAM} search study.toml</pre>"
        f"{paragraph('To look at one network, with its log and the paths of its artefacts:')}"
        f"<pre>{PROGRAM} show {escape(called(run.folder))} ID</pre><pre>{escape(run.study.to_toml())}</pre>"
    )
