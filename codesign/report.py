"""``codesign report``: a run as one HTML file that opens anywhere, offline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from codesign.budget import Miss, misses
from codesign.errors import StorageError
from codesign.measurement import Figure, Provenance
from codesign.record import Record
from codesign.run import Run
from codesign.show import all_figures
from codesign.summary import closing, percent_error

FILE = "report.html"
MEANINGS = {
    Provenance.TRAINED: "counted by running the exact network on data",
    Provenance.SIMULATED: "counted in a simulation of the RTL, every output bit compared",
    Provenance.SCHEDULED: "known from the schedule before simulation",
    Provenance.SYNTHESIZED: "counted in the netlist that Yosys made for the part; Vivado counts differently",
    Provenance.MODELLED: "a timing model applied to the synthesized netlist; not placed, not routed",
    Provenance.ESTIMATED: "a structural lower bound; nothing was built",
    Provenance.ROUTED: "after place and route",
    Provenance.ON_BOARD: "measured on the board",
}
_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1.5rem 1rem 4rem; color: #1f2933; background: #fff;
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p { max-width: 46rem; }
.lead { color: #52606d; margin-top: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tile { border: 1px solid #e4e7eb; border-radius: .5rem; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.tile span { color: #52606d; font-size: .85rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1rem; }
.plots > * { min-width: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #e4e7eb; white-space: nowrap; }
td.wide { white-space: normal; min-width: 18rem; }
th { color: #52606d; font-weight: 600; }
.number { text-align: right; }
pre { background: #f5f7fa; padding: .8rem 1rem; border-radius: .5rem; overflow-x: auto; font-size: .85rem; }
.note { color: #52606d; font-size: .9rem; }
"""


def write_report(run: Run) -> Path:
    """Write ``report.html`` into the run's folder; its path."""
    path = run.folder / FILE
    beside = path.with_suffix(".new")
    try:
        beside.write_text(page(run), encoding="utf-8")
        beside.rename(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; make room there, then: codesign report {run.folder.name}"
        ) from None
    return path


def page(run: Run) -> str:
    """The whole report."""
    from codesign import plots

    target, data = run.task.target, run.study.data.name or run.study.data.path or ""
    place = f"{target.board} ({target.part.name})" if target.board else target.part.name
    sections = [
        f"<h1>{escape(run.study.name)}</h1>",
        f'<p class="lead">{escape(data)} on {escape(place)} at {target.clock_mhz:g} MHz</p>',
        _tiles(run),
        _section("Error against cost", _PLOT_TEXT, f'<div class="plots">{_plots(run)}</div>'),
        _section("Front", _front_text(run), _front_table(run)),
        _section("Progress of the search", _progress_text(run), plots.progress(run) if run.generations else ""),
        _section("Not on the front", _closing_text(run), _reasons(run)),
        _section("Where the figures come from", "", _provenance_table(run)),
        _section("How to get this again", *_reproduce(run)),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"<title>{escape(run.study.name)} – codesign</title><style>{_STYLE}</style>"
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}{title}{plots.plotly_script()}</head>'
        f"<body>\n{body}\n</body></html>\n"
    )


_PLOT_TEXT = (
    "Each mark is a trained and measured candidate: darker is a later generation, a cross misses a budget, "
    "a red ring is on the front. Best is down and to the left."
)


def _section(title: str, text: str, content: str) -> str:
    return f"<h2>{title}</h2>" + (f"<p>{text}</p>" if text else "") + content


def _tiles(run: Run) -> str:
    counts = run.counts
    tiles = [
        (str(len(run.front)), "networks on the front"),
        (str(len(run.records)), "candidates evaluated"),
        (str(counts["infeasible"]), "over budget"),
        (str(counts["failed"]), "failed"),
        (run.binding or "none", "budget that binds most"),
    ]
    inner = "".join(f'<div class="tile"><b>{escape(value)}</b><span>{label}</span></div>' for value, label in tiles)
    return f'<div class="tiles">{inner}</div>'


def _front_text(run: Run) -> str:
    return (
        "No candidate is better than one of these in every objective "
        f"({', '.join(run.study.search.objectives)}). Validation data selected them; test data played no part. "
        "± is one standard error, from the number of samples."
    )


def _front_table(run: Run) -> str:
    rows = [_front_row(run, record) for record in run.front]
    headings = ("id", "network", "validation error", "test error", "latency", "cycles", "LUT", "of part", "FF", "BRAM")
    return _table((*headings, "Fmax (modelled)"), rows)


def _front_row(run: Run, record: Record) -> tuple[str, ...]:
    figures, target = all_figures(record, run.finals.get(record.digest)), run.task.target
    cycles, lut = figures["latency_cycles"].value, figures["lut"].value
    return (
        record.digest[:8],
        record.architecture.words(),
        _percent(figures.get("val_error"), run.task.validation_samples),
        _percent(figures.get("test_error"), run.task.test_samples),
        f"{cycles / target.clock_mhz:.2f} us",
        f"{cycles:.0f}",
        f"{lut:,.0f}",
        f"{100 * lut / target.part.resources['lut']:.1f} %",
        *(f"{figures[name].value:,g}" for name in ("ff", "bram")),
        _clock(figures["fmax"]),
    )


def _percent(figure: Figure | None, samples: int) -> str:
    return percent_error(figure.value, samples) if figure is not None else ""


def _clock(fmax: Figure) -> str:
    error = (fmax.details.get("error") or {}).get("median")
    return f"{fmax.value:.0f} MHz" + (f" ± {100 * error:.1f} %" if error is not None else "")


def _plots(run: Run) -> str:
    from codesign import plots

    return "".join(f"<div>{plots.scatter(run, axis)}</div>" for axis in (plots.LUT, plots.LATENCY))


def _progress_text(run: Run) -> str:
    if run.reference is None:
        return "Nothing was measured."
    pairs = zip(run.study.search.objectives, run.reference, strict=True)
    point = ", ".join(f"{name} {value:,.6g}" for name, value in pairs)
    return f"The share of the objectives' room that the front dominates, up to the reference point ({escape(point)})."


def _closing_text(run: Run) -> str:
    return "<br>".join(escape(line) for line in closing(run).splitlines()[:2])


def _reasons(run: Run) -> str:
    """How many failed or left the front for which reason, and how many missed which budget."""
    found = Counter(("failed", record.reason) for record in run.records if record.status == "failed")
    found.update(("left the front", final.reason) for final in run.finals.values() if final.measurement is None)
    rows = [(status, str(count), reason) for (status, reason), count in found.most_common()]
    missed: dict[str, list[Miss]] = {}
    for record in run.records:
        for miss in misses(run.constraints, record, run.study.target.clock_mhz):
            missed.setdefault(miss.constraint.key, []).append(miss)
    for key in sorted(missed, key=lambda key: -len(missed[key])):
        nearest = min(missed[key], key=lambda miss: miss.violation)
        rows.append(("over budget", str(len(missed[key])), f"the nearest: {nearest.words()}"))
    return _table(("status", "candidates", "reason"), rows, wide=2) if rows else ""


def _provenance_table(run: Run) -> str:
    """One line for each kind of figure among the front's: how it came to be, and with what."""
    rows: dict[tuple[str, ...], None] = {}
    for record in run.front:
        for name, figure in all_figures(record, run.finals.get(record.digest)).items():
            tool = f"{figure.tool} {figure.version}"
            rows[name, figure.unit, figure.provenance.value, tool, MEANINGS[figure.provenance]] = None
    return _table(("figure", "unit", "provenance", "tool", "which means"), list(rows), wide=4)


def _reproduce(run: Run) -> tuple[str, str]:
    text = "The study below, saved as study.toml, gives the same front with the same version of codesign."
    command = "scripts/codesign search study.toml"
    return text, f"<pre>{command}</pre><pre>{escape(run.study.to_toml())}</pre>"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], wide: int | None = None) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=wide' if n == wide else ''}>{escape(cell)}</td>" for n, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
