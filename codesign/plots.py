"""The figures of a report, as HTML fragments that need no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from codesign.record import Record
from codesign.run import Run
from nas.objectives import OBJECTIVES

_GRID = "#e4e7eb"
_INK = "#1f2933"
_FRONT = "#d64545"
_BUDGET = "#7b8794"
# generations from early to late: light to dark of one hue, so that their order is seen
_GENERATIONS = ("#bed4ee", "#2f6db5", "#12365f")


@dataclass(frozen=True)
class Axis:
    """What a scatter shows upwards from left to right: an objective, its title, and the budget that limits it."""

    objective: str
    title: str
    budget: str


LUT = Axis("lut", "LUT (synthesized)", "lut")
LATENCY = Axis("latency", "latency in us (simulated)", "latency_us")


def scatter(run: Run, axis: Axis) -> str:
    """Validation error over ``axis`` of every measured candidate, by generation, with the front and the budget."""
    import plotly.graph_objects as go

    figure = go.Figure()
    everyone = [record for record in run.records if _point(run, record, axis) is not None]
    last = max((record.generation for record in everyone), default=0)
    for generation, records in groupby(everyone, key=lambda record: record.generation):
        figure.add_trace(_markers(run, list(records), axis, f"generation {generation + 1}", _shade(generation, last)))
    figure.add_trace(_front(run, axis))
    limit = next((limit.limit for limit in run.constraints if limit.key == axis.budget), 0.0)
    if limit > 0:
        figure.add_vline(limit, line={"color": _BUDGET, "dash": "dash"})
        # on a logarithmic axis a shape is placed by its value, an annotation by the value's logarithm
        words = {"text": f"budget {limit:,g}", "showarrow": False, "font": {"color": _BUDGET}, "textangle": -90}
        place = {"xanchor": "right", "yanchor": "top", "x": math.log10(limit), "y": 1, "yref": "paper"}
        figure.add_annotation({**words, **place})
    figure.update_xaxes(title=axis.title, type="log")
    figure.update_yaxes(title="validation error in %", rangemode="tozero")
    return _fragment(figure, axis.objective)


def progress(run: Run) -> str:
    """Hypervolume over the generations."""
    import plotly.graph_objects as go

    numbers = [summary["number"] + 1 for summary in run.generations]
    volumes = [summary["hypervolume"] for summary in run.generations]
    figure = go.Figure(go.Scatter(x=numbers, y=volumes, mode="lines+markers", line={"color": _GENERATIONS[1]}))
    figure.update_xaxes(title="generation", dtick=1)
    figure.update_yaxes(title="hypervolume (larger is better)")
    return _fragment(figure, "progress")


def plotly_script() -> str:
    """The plotting library itself, once per page."""
    from plotly.offline import get_plotlyjs

    return f"<script>{get_plotlyjs()}</script>"


def _point(run: Run, record: Record, axis: Axis) -> tuple[float, float] | None:
    """Axis value and error in percent; None where one was not measured."""
    measured, clock = record.measurement, run.study.target.clock_mhz
    if (
        measured is None
        or "val_error" not in measured.figures
        or OBJECTIVES[axis.objective].figure not in measured.figures
    ):
        return None
    return OBJECTIVES[axis.objective].value(measured, clock), 100.0 * measured.value("val_error")


def _markers(run: Run, records: Sequence[Record], axis: Axis, name: str, color: str) -> Any:
    import plotly.graph_objects as go

    points = [_point(run, record, axis) or (0.0, 0.0) for record in records]
    return go.Scatter(
        x=[point[0] for point in points],
        y=[point[1] for point in points],
        mode="markers",
        name=name,
        text=[_hover(record) for record in records],
        hovertemplate="%{text}<br>%{x:,.4g} · %{y:.1f} %<extra></extra>",
        marker={
            "color": color,
            "size": 8,
            "symbol": ["circle" if record.status == "ok" else "x" for record in records],
            "line": {"width": 0.5, "color": _INK},
        },
    )


def _front(run: Run, axis: Axis) -> Any:
    """A ring around every front member."""
    import plotly.graph_objects as go

    members = [(point, record) for record in run.front if (point := _point(run, record, axis)) is not None]
    members.sort(key=lambda member: member[0])
    return go.Scatter(
        x=[point[0] for point, _ in members],
        y=[point[1] for point, _ in members],
        mode="markers",
        name="front (over all objectives)",
        text=[_hover(record) for _, record in members],
        hovertemplate="%{text}<br>%{x:,.4g} · %{y:.1f} %<extra>front</extra>",
        marker={"color": "rgba(0,0,0,0)", "size": 14, "line": {"width": 2, "color": _FRONT}},
    )


def _hover(record: Record) -> str:
    note = "" if record.status == "ok" else f"<br>over budget: {record.reason}"
    return f"{record.architecture.words()}<br>{record.digest[:8]}{note}"


def _shade(generation: int, last: int) -> str:
    from plotly.colors import sample_colorscale

    position = generation / last if last else 1.0
    return str(sample_colorscale(list(_GENERATIONS), [position])[0])


def _fragment(figure: Any, name: str) -> str:
    figure.update_layout(
        template="plotly_white",
        font={"family": "system-ui, sans-serif", "color": _INK, "size": 13},
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        height=420,
        legend={"orientation": "h", "y": -0.25},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False)
    figure.update_yaxes(gridcolor=_GRID, zeroline=False)
    settings = {"responsive": True, "displaylogo": False, "displayModeBar": False}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=settings, div_id=name))
