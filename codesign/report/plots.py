"""The plots of a report, as HTML fragments that need no network.

Colours are told apart by colour-blind people (Okabe and Ito's palette, one hue from light to dark, or cividis), and
nothing is told by colour alone: marks differ by shape, fill or dashes too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

from codesign.accuracy import error_scale, error_words
from codesign.measurement import Figure
from codesign.record import Record
from codesign.report.comparison import Comparison
from codesign.run import Run
from codesign.summary import latency
from nas.objectives import OBJECTIVES, source

INK = "#1f2933"
GRID = "#e4e7eb"
_FRONT = "#d55e00"
_BUDGET = "#52606d"
_RUNS = (("#0072b2", "circle"), ("#e69f00", "diamond"))
# generations from early to late: light to dark of one hue, so that their order is seen
_GENERATIONS = ("#a9c8e8", "#2f6db5", "#0b2545")
_SHAPES = ("circle", "square", "diamond", "triangle-up", "pentagon", "star")


@dataclass(frozen=True)
class Axis:
    """What a scatter shows from left to right: an objective, its name and unit, and the budget that limits it."""

    objective: str
    title: str
    budget: str


LUT = Axis("lut", "LUT", "lut")
LATENCY = Axis("latency", "latency in us", "latency_us")


@dataclass(frozen=True)
class _Mark:
    """One measured candidate: its error over the axis' value, and what its mark says when pointed at."""

    record: Record
    x: float
    y: float
    provenance: str
    text: str


def scatter(run: Run, axis: Axis) -> str:
    """Validation error over ``axis`` of every measured candidate, by generation, with the front and the budget."""
    import plotly.graph_objects as go

    figure = go.Figure()
    marks = _marks(run, axis)
    last = max((mark.record.generation for mark in marks), default=0)
    step = math.ceil((last + 1) / len(_SHAPES))  # generations that share a shape
    key = lambda mark: (mark.record.generation // step, mark.provenance)  # noqa: E731
    for (place, provenance), group in groupby(sorted(marks, key=key), key=key):
        many = f"generations {place * step + 1} to {min((place + 1) * step, last + 1)}"
        name = f"{many if step > 1 else f'generation {place + 1}'}, {provenance}"
        figure.add_traces(_generation(list(group), name, place, last // step))
    if any(mark.record.status != "ok" for mark in marks):
        figure.add_trace(_legend_only("hollow: over budget", {"symbol": "circle-open", "color": INK, "size": 9}))
    front = {record.digest for record in run.front}
    ringed = [mark for mark in marks if mark.record.digest in front]
    ring = {"symbol": "circle-open", "color": _FRONT, "size": 16, "line": {"width": 2}}
    figure.add_trace(_points(ringed, "ring: on the front", ring))
    _budget_line(figure, run, axis, "budget")
    return _error_fragment(figure, run, marks, axis, [_limit(run, axis)])


def overlay(comparison: Comparison, axis: Axis) -> str:
    """Both runs' candidates, small, and their fronts, large, with their budgets."""
    import plotly.graph_objects as go

    figure = go.Figure()
    everything = []
    for run, name, (color, symbol) in zip(comparison.runs, comparison.names, _RUNS, strict=True):
        marks, front = _marks(run, axis), {record.digest for record in run.front}
        everything += marks
        others = [mark for mark in marks if mark.record.digest not in front]
        members = [mark for mark in marks if mark.record.digest in front]
        faint = {"symbol": f"{symbol}-open", "color": color, "size": 6}
        figure.add_trace(_points(others, f"{escape(name)}: others", faint))
        strong = {"symbol": symbol, "color": color, "size": 11, "line": {"width": 1, "color": INK}}
        figure.add_trace(_points(members, f"{escape(name)}: front", strong))
    limits = [_limit(run, axis) for run in comparison.runs]
    if limits[0] == limits[1]:
        _budget_line(figure, comparison.runs[0], axis, "budget")
    else:
        for run, name, limit in zip(comparison.runs, comparison.names, limits, strict=True):
            side = "right" if limit == min(limits) else "left"  # labels of near lines must not meet
            _budget_line(figure, run, axis, f"budget of {escape(name)}", side)
    return _error_fragment(figure, comparison.runs[0], everything, axis, limits)


def progress(volumes: Mapping[str, Sequence[float]]) -> str:
    """Hypervolume over the generations of one run or two, by name."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for (name, values), (color, symbol), dash in zip(volumes.items(), _RUNS, ("solid", "dash"), strict=False):
        figure.add_trace(
            go.Scatter(
                x=list(range(1, len(values) + 1)),
                y=list(values),
                mode="lines+markers",
                name=escape(name),
                line={"color": color, "dash": dash},
                marker={"symbol": symbol, "size": 9},
                hovertemplate="generation %{x}: %{y:.4f}<extra></extra>",
            )
        )
    many = max((len(values) for values in volumes.values()), default=0) > 15
    figure.update_xaxes(title="generation", dtick=None if many else 1)
    figure.update_yaxes(title="hypervolume")
    return fragment(figure, "progress", height=320)


def plotly_script() -> str:
    """The plotting library itself, once per page."""
    from plotly.offline import get_plotlyjs

    return f"<script>{get_plotlyjs()}</script>"


def fragment(figure: Any, name: str, height: int = 480) -> str:
    """A plot as HTML, in the style they all share."""
    figure.update_layout(
        template="plotly_white",
        font={"family": "system-ui, sans-serif", "color": INK, "size": 13},
        margin={"l": 60, "r": 15, "t": 10, "b": 50},
        height=height,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "itemsizing": "trace"},
        hoverlabel={"align": "left", "bgcolor": "#fff", "font": {"color": INK}},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, zeroline=False)
    settings = {"responsive": True, "displaylogo": False, "displayModeBar": False}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=settings, div_id=f"plot-{name}"))


def hover(run: Run, record: Record) -> str:
    """What is said of a candidate under the pointer: the network, where it comes from, figures and their provenance."""
    assert record.measurement is not None
    figures = record.measurement.figures
    error = figures["val_error"]
    lines = [
        f"<b>{escape(record.architecture.words())}</b>",
        f"{record.digest[:8]}, generation {record.generation + 1}",
        f"validation error {error_words(error, run.task.validation_samples)} {_source(error)}",
    ]
    if "lut" in figures:
        lines.append(f"{figures['lut'].value:,.0f} LUT {_source(figures['lut'])}")
    if "latency_cycles" in figures:
        time, cycles, figure = latency(run, record)
        lines.append(f"{time:.2f} us, {cycles:.0f} cycles {_source(figure)}")
    if record.status != "ok":
        lines.append(f"over budget: {escape(record.reason)}")
    final = run.finals.get(record.digest)
    if final is not None and final.measurement is None:
        lines.append(f"left the front: {escape(final.reason)}")
    return "<br>".join(lines)


def _source(figure: Figure) -> str:
    return f"({figure.provenance.value}: {escape(figure.tool)} {escape(figure.version)})"


def _marks(run: Run, axis: Axis) -> list[_Mark]:
    quantity, clock, found = OBJECTIVES[axis.objective], run.study.target.clock_mhz, []
    scale, _ = error_scale(run.task)
    for record in run.records:
        measured = record.measurement if record.status != "dropped" else None  # of those, hardware is only predicted
        if measured is not None and {"val_error", quantity.figure} <= measured.figures.keys():
            x, y = quantity.value(measured, clock), scale * measured.value("val_error")
            provenance = source(measured, quantity.figure).provenance.value
            found.append(_Mark(record, x, y, provenance, hover(run, record)))
    return found


def _generation(marks: Sequence[_Mark], name: str, place: int, last: int) -> list[Any]:
    """Filled marks within the budgets and hollow ones over them; one entry in the legend."""
    from plotly.colors import sample_colorscale

    color = str(sample_colorscale(list(_GENERATIONS), [place / last if last else 1.0])[0])
    shape = _SHAPES[place]
    kept = [mark for mark in marks if mark.record.status == "ok"]
    over = [mark for mark in marks if mark.record.status != "ok"]
    filled = {"symbol": shape, "color": color, "size": 9, "line": {"width": 0.7, "color": INK}}
    hollow = {"symbol": f"{shape}-open", "color": INK, "size": 9, "line": {"width": 1}}
    traces = [_points(kept, name, filled)] if kept else [_legend_only(name, filled)]
    return [*traces, _points(over, name, hollow, in_legend=False)] if over else traces


def _points(marks: Sequence[_Mark], name: str, marker: Mapping[str, Any], *, in_legend: bool = True) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[mark.x for mark in marks],
        y=[mark.y for mark in marks],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=in_legend,
        text=[mark.text for mark in marks],
        hovertemplate="%{text}<extra></extra>",
        marker=marker,
    )


def _legend_only(name: str, marker: Mapping[str, Any]) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(x=[None], y=[None], mode="markers", name=name, legendgroup=name, marker=marker)


def _limit(run: Run, axis: Axis) -> float:
    return next((limit.limit for limit in run.constraints if limit.key == axis.budget), 0.0)


def _budget_line(figure: Any, run: Run, axis: Axis, words: str, side: str = "right") -> None:
    limit = _limit(run, axis)
    if limit <= 0:
        return
    words = words if getattr(run.study.budget, axis.budget) is not None else "all that the part has:"
    figure.add_vline(limit, line={"color": _BUDGET, "dash": "dash"})
    # on a logarithmic axis a shape is placed by its value, an annotation by the value's logarithm
    text = {"text": f"{words} {limit:,g}", "showarrow": False, "font": {"color": _BUDGET}, "textangle": -90}
    place = {"xanchor": side, "yanchor": "top", "x": math.log10(limit), "y": 1, "yref": "paper"}
    figure.add_annotation({**text, **place})


def _error_fragment(figure: Any, run: Run, marks: Sequence[_Mark], axis: Axis, limits: Sequence[float]) -> str:
    provenances = sorted({mark.provenance for mark in marks})
    figure.update_xaxes(title=f"{axis.title} ({', '.join(provenances)})" if provenances else axis.title, type="log")
    ticks = _ticks([value for value in (*(mark.x for mark in marks), *limits) if value > 0])
    figure.update_xaxes(tickmode="array", tickvals=ticks, ticktext=[f"{tick:,g}" for tick in ticks])
    figure.update_yaxes(title=f"validation error in {error_scale(run.task)[1]}", rangemode="tozero")
    return fragment(figure, axis.objective)


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers for a logarithmic axis: 1, 2 and 5 of each decade, or 1 only where there are many decades."""
    if not values:
        return []
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    steps = (1, 2, 5) if math.log10(max(values) / min(values)) < 2.5 else (1,)
    ticks = [step * 10.0**decade for decade in range(first, last + 1) for step in steps]
    return [tick for tick in ticks if 0.95 * min(values) <= tick <= 1.05 * max(values)]
