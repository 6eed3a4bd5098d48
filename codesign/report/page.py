"""``codesign report``: a run, or two beside each other, as one HTML file that opens anywhere, offline."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

from codesign.counting import noun
from codesign.files import write_whole
from codesign.place import PROGRAM, called
from codesign.report import boards as report_boards
from codesign.report import sections
from codesign.report.comparison import Comparison, compare
from codesign.report.html import document, paragraph, plot, section, table, tiles
from codesign.report.winner import winner
from codesign.run import Run
from codesign.summary import outcome_lines

FILE = "report.html"


def write_report(run: Run) -> Path:
    """Write ``report.html`` into the run's folder; its path."""
    path = run.folder / FILE
    write_whole(path, page(run), f"run: {PROGRAM} report {called(run.folder)}")
    return path


def write_comparison(first: Run, second: Run) -> Path:
    """Write ``report-against-NAME.html`` into the first run's folder; its path.

    Raises RunError where comparing the two means nothing.
    """
    text = comparison_page(compare(first, second))
    path = first.folder / f"report-against-{second.folder.name}.html"
    write_whole(path, text, f"run: {PROGRAM} report {called(first.folder)} {called(second.folder)}")
    return path


def page(run: Run) -> str:
    """The report of one run."""
    parts = [
        ("tradeoff", "Error against cost", _tradeoff(run)),
        ("front", "Front", sections.front(run, linked=True)),
        *([("retrained", "Trained again", sections.retrained(run))] if run.retrained else []),
        ("genes", "Genes along the front", _genes(run)),
        ("winners", "The networks of the front", _winners(run)),
        ("progress", "Progress of the search", _progress(run)),
        *([("rungs", "Rungs", sections.rungs(run))] if run.study.rungs.epochs else []),
        *([("boards", "Boards", on_boards)] if (on_boards := report_boards.boards(run)) else []),
        ("failures", "Not on the front", _closing(run) + sections.reasons(run)),
        ("data", "Data", sections.data(run)),
        ("provenance", "Where the figures come from", sections.provenances(run)),
        ("reproduce", "How to get this again", sections.reproduce(run)),
    ]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in parts)
    return document(
        run.study.name,
        [
            f"<h1>{escape(run.study.name)}</h1>",
            f'<p class="lead">{escape(sections.where(run))}</p>',
            _tiles(run),
            f"<nav>{links}</nav>",
            *(section(name, title, content) for name, title, content in parts),
        ],
    )


def comparison_page(comparison: Comparison) -> str:
    """The report of two runs: fronts over each other, hypervolumes from one reference point."""
    first, second = comparison.runs
    title = " and ".join(comparison.names)
    fronts = [
        section(f"front-{place}", f"Front of {name}", sections.front(run, linked=False))
        for place, (run, name) in enumerate(zip(comparison.runs, comparison.names, strict=True), 1)
    ]
    return document(
        title,
        [
            f"<h1>{escape(title)}</h1>",
            f'<p class="lead">{escape(sections.where(first))}</p>',
            _ratio(comparison),
            section("tradeoff", "Error against cost", paragraph(_OVERLAY), _overlay(comparison)),
            section("progress", "Progress of the searches", _volumes(comparison)),
            section("studies", "What differs between the studies", _differences(comparison)),
            *fronts,
            section("data", "Data", sections.data(first)),
            *(section(f"reproduce-{run.folder.name}", f"How to get {name} again", sections.reproduce(run))
              for run, name in zip((first, second), comparison.names, strict=True)),
        ],
    )  # fmt: skip


_VOLUME = "hypervolume over the generations"
_MARKS = (
    "Each mark is a trained and measured candidate; point at one for its network and where its figures come from. "
    "Shape and shade tell the generation (darker is later). Best is down and to the left."
)
_OVERLAY = (
    "Large marks are a run's front, small hollow ones its other measured candidates; point at one for its network and "
    "where its figures come from. Best is down and to the left."
)
_GENES = (
    "Each line is a network of the front: its genes, then what it came to. Labels are the choices that the study "
    "allowed; in a space of one's own, those that the search tried. The darker a line, the smaller the error; dashed "
    "lines are folded designs, dotted ones those whose layers the solver folded."
)


def _tradeoff(run: Run) -> str:
    from codesign.report import plots

    return paragraph(_MARKS) + _grid(lambda axis: plots.scatter(run, axis))


def _overlay(comparison: Comparison) -> str:
    from codesign.report import plots

    return _grid(lambda axis: plots.overlay(comparison, axis))


def _grid(draw: Callable[..., str]) -> str:
    from codesign.report import plots

    drawn = (plot(draw(axis), f"validation error against {axis.title}") for axis in (plots.LUT, plots.LATENCY))
    return f'<div class="plots">{"".join(drawn)}</div>'


def _genes(run: Run) -> str:
    from codesign.report.plots_genes import genes

    return (
        paragraph(_GENES) + plot(genes(run), "genes and objectives of each network of the front") if run.front else ""
    )


def _winners(run: Run) -> str:
    return "".join(winner(run, record, opened=place == 0) for place, record in enumerate(run.front))


def _progress(run: Run) -> str:
    from codesign.report import plots

    if run.reference is None:
        return paragraph("No generation is whole yet." if run.unfinished else "Nothing was measured.")
    text = paragraph(sections.reference_words(run, run.reference))
    volumes = [summary["hypervolume"] for summary in run.generations]
    return text + (plot(plots.progress({run.study.name: volumes}), _VOLUME) if volumes else "")


def _closing(run: Run) -> str:
    return "<p>" + "<br>".join(escape(line) for line in outcome_lines(run)) + "</p>"


def _tiles(run: Run) -> str:
    counts = run.counts
    return tiles(
        [
            (str(len(run.front)), f"{noun(len(run.front), 'network')} on the front"),
            (str(len(run.records)), f"{noun(len(run.records), 'candidate')} evaluated"),
            (str(counts["infeasible"]), "over budget"),
            *([(str(counts["dropped"]), "dropped early")] if counts["dropped"] else []),
            (str(counts["failed"]), "failed"),
            (run.binding or "none", "budget that binds most"),
        ]
    )


def _ratio(comparison: Comparison) -> str:
    first, second = comparison.names
    ratio = comparison.ratio
    return tiles(
        [
            (f"{ratio:.4f}" if ratio is not None else "–", f"hypervolume of {second} over that of {first}"),
            *(
                (f"{volumes[-1]:.4f}", f"hypervolume of {name}, {len(run.front)} of {len(run.records)} on its front")
                for run, name, volumes in zip(comparison.runs, comparison.names, comparison.volumes, strict=True)
            ),
        ]
    )


def _volumes(comparison: Comparison) -> str:
    from codesign.report import plots

    text = (
        f"{sections.reference_words(comparison.runs[0], comparison.reference)} The same point for both: in "
        "each objective the farther of the two runs'. Networks that failed a later check do not count."
    )
    return paragraph(text) + plot(plots.progress(dict(zip(comparison.names, comparison.volumes, strict=True))), _VOLUME)


def _differences(comparison: Comparison) -> str:
    first, second = comparison.runs
    differences = first.study.differences(second.study)
    if not differences:
        return paragraph("Nothing.")
    rows = table(("key of the study, from the first to the second",), [(line,) for line in differences])
    splits = {(run.study.study.seed, run.study.data.validation) for run in comparison.runs}
    other = (
        "Seed or validation share differ: the runs counted their errors on different samples."
        if len(splits) > 1
        else ""
    )
    return rows + paragraph(other)
