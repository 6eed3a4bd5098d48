"""The end of a search in words: the front as a table, what failed, what binds, what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from codesign.accuracy import error_note, error_words, mean_error_words
from codesign.architecture import Mode
from codesign.counting import number_of
from codesign.fmax_trust import fmax_caveat, model_error
from codesign.measurement import Figure, Provenance
from codesign.place import PROGRAM, called
from codesign.predicting import surrogate_line
from codesign.record import Record
from codesign.report import boards as report_boards
from codesign.report.marks import marked, meanings
from codesign.retrained_words import again_note, closing_lines, spread_words
from codesign.run import Run
from nas.objectives import ERRORS, OBJECTIVES, source


def print_summary(run: Run, console: Console) -> None:
    """Print the front and what else the search came to."""
    console.print(FrontTable(run))
    console.print(Text(closing(run)), soft_wrap=True)


def fmax_words(fmax: Figure, mode: Mode) -> str:
    """An Fmax with what must be said of it, e.g. ``184 MHz, outside the fitted range``."""
    caveat = fmax_caveat(fmax, mode)
    return f"{fmax.value:.0f} MHz" + (f"{' ' if caveat.startswith('±') else ', '}{caveat}" if caveat else "")


def fmax_note(figures: Sequence[tuple[Figure, Mode]]) -> str:
    """What the Fmax figures of a table are and how far they can be trusted, in one sentence."""
    modelled = [(fmax, mode) for fmax, mode in figures if fmax.provenance is Provenance.MODELLED]
    text = "Fmax: a timing model of the synthesized netlist, not routed"
    caveats = {fmax_caveat(fmax, mode) for fmax, mode in modelled}
    errors = [error for fmax, mode in modelled if (error := model_error(fmax, mode)) is not None]
    if errors:
        text += f"; its median error is {100 * max(errors):.1f} % on designs like those it was fitted to"
    if "outside the fitted range" in caveats:
        outside = [fmax for fmax, mode in modelled if fmax_caveat(fmax, mode) == "outside the fitted range"]
        sizes = " or ".join(dict.fromkeys(_fitted_sizes(fmax.details["error"]) for fmax in outside))
        text += f"; unknown outside the fitted range (folded, or not {sizes})"
    if "uncalibrated" in caveats:
        text += "; uncalibrated for this part: its error is unknown"
    return text


def _fitted_sizes(error: Mapping[str, Any]) -> str:
    """Of the designs that the timing model was fitted to; by version 1 of it, which a store may hold, in LUTs alone."""
    (low, high), unit = (error["size"], "LUTs and registers") if "size" in error else (error["luts"], "LUT")
    return f"{low:,} to {high:,} {unit}"


def outcome_lines(run: Run) -> list[str]:
    """What became of the candidates, the budget that binds, and why the search ended early, if it did."""
    counts = run.counts
    dropped = f"{counts['dropped']} dropped early, " if counts["dropped"] else ""
    numbers = f"{counts['ok']} within budget, {counts['infeasible']} over, {dropped}{counts['failed']} failed"
    binding = f"binding: {_named(run, run.binding)}" if run.binding else "no budget binds"
    lines = [f"{number_of(len(run.records), 'candidate')}: {numbers}", binding]
    if run.stopped:
        lines.append(f"stopped after generation {run.stopped['generation'] + 1}: {run.stopped['reason']}")
    if run.unfinished:
        whole = f"{len(run.generations)} of {number_of(run.study.search.generations, 'generation')}"
        lines.append(f"unfinished, with {whole} whole: searching the same study continues it")
    return lines


def closing(run: Run) -> str:
    """Counts, the binding budget, where the run is, and what to do next."""
    lines = outcome_lines(run)
    if run.generations:
        what = "hypervolume of the front as the search left it" if run.retrained else "hypervolume"
        lines.append(f"{what}: {run.generations[-1]['hypervolume']:.4f}")
    lines += surrogate_line(run.generations)
    lines += closing_lines(run)
    lines += report_boards.lines(run)
    lines.append(f"run: {run.folder}")
    name = called(run.folder)
    first = (f"{PROGRAM} report {name}", f"{PROGRAM} show {name} {run.front[0].digest[:8]}") if run.front else ()
    lines.append(f"next: {'; '.join((*first, f'{PROGRAM} show {name} --all'))}")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Column:
    heading: str
    cell: Callable[[Run, Record], str]
    right: bool = True


def latency(run: Run, record: Record) -> tuple[float, float, Figure]:
    """Microseconds and clock cycles of a measured candidate, and the figure that the time is from.

    Where boards take part both are of the whole accelerator, and the time may be a board's, or corrected by boards.
    """
    assert record.measurement is not None
    figures = record.measurement.figures
    time = OBJECTIVES["latency"].value(record.measurement, run.study.target.clock_mhz)
    cycles = figures.get("accelerator_latency_cycles", figures["latency_cycles"])
    return time, cycles.value, source(record.measurement, "latency_cycles")


def further_objectives(run: Run) -> dict[str, str]:
    """Objectives of a run that not every table of its front shows anyway, each with its heading."""
    names = [name for name in run.study.search.objectives if name not in _ALWAYS_SHOWN]
    return {name: f"{name}, {OBJECTIVES[name].unit}".strip(", ") for name in names}


def objective_words(name: str, run: Run, record: Record) -> str:
    """One of these objectives of a measured candidate, without its unit, with its mark."""
    assert record.measurement is not None
    quantity = OBJECTIVES[name]
    figure = source(record.measurement, quantity.figure)
    if name in ERRORS:
        return marked(mean_error_words(figure), figure)
    value = quantity.value(record.measurement, run.study.target.clock_mhz)
    return marked(quantity.words(value), figure)


def front_notes(run: Run) -> list[str]:
    """What must be said of a front's numbers where boards took part, and where it was trained again."""
    measured = [record.measurement for record in run.front if record.measurement is not None]
    whole = any("accelerator_latency_cycles" in measurement.figures for measurement in measured)
    marks = meanings(figure for measurement in measured for figure in measurement.figures.values())
    frames = "latency is that of the accelerator, frames included" if whole else ""
    return [text for text in (again_note(run), frames, marks) if text]


@dataclass(frozen=True)
class FrontTable:
    """The front, one candidate a line; on narrow screens two, the second with its network and id."""

    run: Run

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The fullest form that fits."""
        networks = number_of(len(self.run.front), "network")
        yield Text(f"Pareto front of {self.run.study.name}: {networks}\n", style="italic")
        columns: Sequence[_Column] = ()
        for first, last in _LAYOUTS:
            columns = (*first, *_further(self.run), *last)
            rows = [[column.cell(self.run, record) for column in columns] for record in self.run.front]
            if sum(_widths(columns, rows)) + _GAP * len(columns) <= options.max_width:
                yield _table(columns, rows)
                break
        else:
            columns = _NARROW
            yield from self._two_lines()
        clock = self.run.study.target.clock_mhz
        at = report_boards.shown_by(self.run) or f"at {clock:g} MHz"
        notes = [f"latency {at}; {error_note(self.run.task)}; test data were not seen by the search"]
        if self.run.front and any(column.heading == _FMAX for column in columns):
            pairs = [(_measured(record, "fmax"), record.architecture.hardware.mode) for record in self.run.front]
            unknown = _FMAX_SHORT in columns and any(_unknown(*pair) for pair in pairs)
            notes.append(fmax_note(pairs) + ("; a question mark stands for an unknown error" if unknown else ""))
        notes += front_notes(self.run)
        for note in notes:
            yield Text(note, style="dim")

    def _two_lines(self) -> Iterator[Text]:
        cells = [[column.cell(self.run, record) for column in _NARROW] for record in self.run.front]
        widths = [max(map(len, (column.heading, *row))) for column, *row in zip(_NARROW, *cells, strict=True)]

        def line(texts: Iterable[str]) -> str:
            return " ".join(text.rjust(width) for text, width in zip(texts, widths, strict=True))

        further = _further(self.run)
        yield Text(line(column.heading for column in _NARROW), style="bold")
        for record, row in zip(self.run.front, cells, strict=True):
            yield Text(line(row))
            yield Text(f"    {record.architecture.words()}  {record.digest[:8]}", style="dim")
            if further:
                pairs = (f"{column.heading}: {column.cell(self.run, record)}" for column in further)
                yield Text(f"    {'; '.join(pairs)}", style="dim")


def _table(columns: Sequence[_Column], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column, width in zip(columns, _widths(columns, rows), strict=True):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.heading, justify=justify, width=width)
    for row in rows:
        table.add_row(*row)
    return table


def _widths(columns: Sequence[_Column], rows: Sequence[Sequence[str]]) -> list[int]:
    """Characters that each column needs for its cells to stay on one line; headings break between words."""
    return [
        max(*(len(word) for word in column.heading.split()), *(len(row[place]) for row in rows), 0)
        for place, column in enumerate(columns)
    ]


def _measured(record: Record, name: str) -> Figure:
    assert record.measurement is not None
    return record.measurement.figures[name]


def _validation(run: Run, record: Record) -> str:
    return error_words(_measured(record, "val_error"), run.task.validation_samples)


def _test(run: Run, record: Record) -> str:
    final = run.finals.get(record.digest)
    figure = final.measurement.figures.get("test_error") if final and final.measurement else None
    return "" if figure is None else error_words(figure, run.task.test_samples)


def _time(run: Run, record: Record) -> str:
    time, _, figure = latency(run, record)
    return marked(f"{time:.2f} us", figure)


def _time_and_cycles(run: Run, record: Record) -> str:
    return f"{_time(run, record)} ({number_of(latency(run, record)[1], 'cycle')})"


def _time_and_count(run: Run, record: Record) -> str:
    return f"{_time(run, record)} ({latency(run, record)[1]:.0f})"


def _lut_share(run: Run, record: Record) -> str:
    luts = _measured(record, "lut")
    share = 100 * luts.value / run.task.target.part.resources["lut"]
    return marked(f"{luts.value:,.0f} ({share:.1f} %)", luts)


def _clock(_: Run, record: Record) -> str:
    fmax = _measured(record, "fmax")
    return marked(fmax_words(fmax, record.architecture.hardware.mode), fmax)


def _clock_short(_: Run, record: Record) -> str:
    fmax, mode = _measured(record, "fmax"), record.architecture.hardware.mode
    error = model_error(fmax, mode)
    known = f" ± {fmax.value * error:.0f}" if error is not None else ""
    return marked(f"{fmax.value:.0f}{known} MHz{' ?' if _unknown(fmax, mode) else ''}", fmax)


def _further(run: Run) -> list[_Column]:
    further = [_Column(heading, partial(objective_words, name)) for name, heading in further_objectives(run).items()]
    seeds = run.study.final.seeds
    return [*further, _Column("test errors", _spread)] if run.retrained and seeds > 1 else further


def _spread(run: Run, record: Record) -> str:
    """From the least to the largest test error of its trainings; empty before all ended."""
    one = run.retrained.get(record.digest)
    return spread_words(run, one, "test_error") if one else ""


def _unknown(fmax: Figure, mode: Mode) -> bool:
    """Whether a modelled Fmax has an error that nobody knows."""
    return fmax.provenance is Provenance.MODELLED and model_error(fmax, mode) is None


_ALWAYS_SHOWN = ("error", "latency", "lut")
_GAP = 2  # one character of padding and one between columns
_FMAX = "Fmax (modelled)"
_ID = _Column("id", lambda _, record: record.digest[:8], right=False)
_NETWORK = _Column("network", lambda _, record: record.architecture.words(), right=False)
_VALIDATION = _Column("validation error", _validation)
_TEST, _FMAX_SHORT = _Column("test error", _test), _Column(_FMAX, _clock_short)
_LATENCY_FULL, _LUT_FULL = _Column("latency", _time_and_cycles), _Column("LUT", _lut_share)
_COSTS = (_VALIDATION, _TEST, _LATENCY_FULL, _LUT_FULL)
# what stands before and after the study's further objectives
_LAYOUTS: Sequence[tuple[Sequence[_Column], Sequence[_Column]]] = (
    (_COSTS, (_Column(_FMAX, _clock), _NETWORK, _ID)),
    (_COSTS, (_FMAX_SHORT, _NETWORK, _ID)),
)
_NARROW = (
    _Column("validation", _validation),
    _TEST,
    _Column("latency (cycles)", _time_and_count),
    _LUT_FULL,
    _FMAX_SHORT,
)


def _named(run: Run, key: str) -> str:
    limit = next(limit for limit in run.constraints if limit.key == key)
    return f"{key} ({limit.sense} {limit.limit:,g} {limit.unit})"
