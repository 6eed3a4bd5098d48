"""Parallel coordinates: the genes of each front member and what it came to, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codesign.accuracy import error_scale
from codesign.architecture import Architecture
from codesign.record import Record
from codesign.report.plots import fragment, hover
from codesign.run import Run
from codesign.searched_space import space_of_run
from nas.image_spaces import IMAGE_SPACES
from nas.objectives import ERRORS, OBJECTIVES
from nas.spaces import SPACES

_NONE = "–"
_MOST_LABELS = 9
_SPREAD = 0.03  # lines through the same choice are drawn that far apart at most, so that each is seen
_SHOWN_IF_FREE = ("target", "weights", "threshold", "sparsity", "learning_rate", "optimizer", "pruning")
_STROKES = {"parallel": ("solid", "circle"), "folded": ("dash", "square"), "solved": ("dot", "diamond")}
_COLORS = "Cividis"
_DARKEST_SHARE = 0.85  # the light end of the colours would vanish on white


@dataclass(frozen=True)
class _Coordinate:
    """One vertical axis: where each record crosses it (0 to 1), and its labels."""

    title: str
    places: list[float]
    labels: list[tuple[float, str]]


def genes(run: Run) -> str:
    """Each front member as a line through its genes and objectives; dark is a small error, dashes are folded."""
    import plotly.graph_objects as go

    members = run.front
    axes = [*_gene_axes(run, members), *_objective_axes(run, members)]
    figure = go.Figure()
    errors = sorted({record.measurement.value("val_error") for record in members if record.measurement})
    shown: set[str] = set()
    for place, record in enumerate(members):
        mode = record.architecture.hardware.mode
        figure.add_trace(_line(run, record, [axis.places[place] for axis in axes], errors, first=mode not in shown))
        shown.add(mode)
    for place, axis in enumerate(axes):
        figure.add_shape(type="line", x0=place, x1=place, y0=0, y1=1, line={"color": "#9aa5b1"}, layer="below")
        for height, label in axis.labels:
            figure.add_annotation(
                x=place, y=height, text=label, showarrow=False, xanchor="right", xshift=-5, font={"size": 11},
                bgcolor="rgba(255,255,255,0.8)", borderpad=0,
            )  # fmt: skip
    titles = [axis.title for axis in axes]
    ticks = {"tickvals": list(range(len(axes))), "ticktext": titles, "tickangle": 0, "side": "bottom"}
    figure.update_xaxes(**ticks, showgrid=False, range=[-0.6, len(axes) - 0.7], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-0.06, 1.06], fixedrange=True)
    text = fragment(figure, "genes", height=460)
    return f'<div class="scroll"><div class="wide-plot">{text}</div></div>'


def _line(run: Run, record: Record, heights: list[float], errors: Sequence[float], *, first: bool) -> Any:
    import plotly.graph_objects as go
    from plotly.colors import sample_colorscale

    assert record.measurement is not None
    share = errors.index(record.measurement.value("val_error")) / max(len(errors) - 1, 1)
    color = str(sample_colorscale(_COLORS, [_DARKEST_SHARE * share])[0])
    mode = record.architecture.hardware.mode
    dash, symbol = _STROKES[mode]
    return go.Scatter(
        x=list(range(len(heights))),
        y=heights,
        mode="lines+markers",
        name=mode,
        legendgroup=mode,
        showlegend=first,
        line={"color": color, "width": 1.6, "dash": dash},
        marker={"symbol": symbol, "size": 7, "color": color},
        text=[hover(run, record)] * len(heights),
        hovertemplate="%{text}<extra></extra>",
    )


def _gene_axes(run: Run, members: Sequence[Record]) -> list[_Coordinate]:
    """An axis per gene; its labels are what the study allowed, and what the front took."""
    if run.study.search.space in IMAGE_SPACES:
        return _image_axes(run, members)
    choices = _allowed(run)
    genes = _taken([record.architecture for record in members])
    shown = [gene for gene in genes if gene[1] not in _SHOWN_IF_FREE or len(choices[gene[1]]) > 1]
    return [_gene(title, taken, _options(taken, choices[key])) for title, key, taken in shown]


def _image_axes(run: Run, members: Sequence[Record]) -> list[_Coordinate]:
    """An axis per gene that leaves a choice and means something in a network of the front."""
    task = run.task
    space = space_of_run(run.study, task.inputs, task.outputs, task.image)
    described = [space.describe(record.architecture) for record in members]
    axes = []
    for gene in (*space.genes, *space.tied):
        taken = [values.get(gene.name, _NONE) for values in described]
        if len(gene.choices) > 1 and set(taken) != {_NONE}:
            axes.append(_gene(gene.name.replace("_", "<br>"), taken, _options(taken, gene.choices)))
    return axes


def _allowed(run: Run) -> Mapping[str, Sequence[Any]]:
    """Choices by gene key: the study's. What a space of the user's allows only its module knows: what was tried."""
    if run.study.search.space in SPACES:
        return run.study.space.choices()
    found: dict[str, set[Any]] = {}
    for _, key, taken in _taken([record.architecture for record in run.records]):
        found.setdefault(key, set()).update(value for value in taken if value != _NONE)
    return {key: sorted(values) for key, values in found.items()}


def _taken(networks: Sequence[Architecture]) -> list[tuple[str, str, list[Any]]]:
    """For each gene a title, its key, and what each network has of it."""
    genes: list[tuple[str, str, list[Any]]] = [
        ("input<br>bits", "input_bits", [network.input_bits for network in networks]),
        ("hidden<br>layers", "depth", [len(network.hidden) for network in networks]),
    ]
    for number in range(max(len(network.hidden) for network in networks)):
        layers = [network.hidden[number] if number < len(network.hidden) else None for network in networks]
        units = [layer.units if layer else _NONE for layer in layers]
        activations = [layer.activation if layer else _NONE for layer in layers]
        genes.append((f"units<br>layer {number + 1}", "width", units))
        genes.append((f"activation<br>layer {number + 1}", "activation", activations))
    genes.append(("batch<br>norm", "batch_norm", [network.batch_norm for network in networks]))
    genes.append(("mode", "mode", [network.hardware.mode for network in networks]))
    genes.append(("folding", "folding", [network.hardware.folding for network in networks]))
    genes.append(("target", "target", [network.hardware.target or _NONE for network in networks]))
    genes.append(("weights", "weights", [network.weights for network in networks]))
    for key in ("threshold", "sparsity", "learning_rate", "optimizer", "pruning"):
        genes.append((key.replace("_", "<br>"), key, [getattr(network.training, key) for network in networks]))
    return genes


def _options(taken: Sequence[Any], allowed: Sequence[Any]) -> list[Any]:
    """What an axis shows from the bottom: no such layer, then numbers by size, others as the study lists them."""
    values = {*taken, *allowed} - {_NONE}
    if all(isinstance(value, int | float) for value in values):
        listed = sorted(values)
    else:
        listed = [*allowed, *sorted(values - set(allowed))]
    return [_NONE, *listed] if _NONE in taken else listed


def _gene(title: str, taken: Sequence[Any], options: Sequence[Any]) -> _Coordinate:
    heights = {option: place / (len(options) - 1) if len(options) > 1 else 0.5 for place, option in enumerate(options)}
    spread = min(_SPREAD, 0.3 / len(options))
    middle = (len(taken) - 1) / 2
    places = [heights[value] + spread * (place - middle) / max(middle, 1) for place, value in enumerate(taken)]
    wanted = set(options) if len(options) <= _MOST_LABELS else {*taken, options[0], options[-1]}
    labels = [(height, _word(option)) for option, height in heights.items() if option in wanted]
    return _Coordinate(title, places, labels)


def _word(option: Any) -> str:
    if isinstance(option, bool):
        return "yes" if option else "no"
    return f"{option} bits" if isinstance(option, str) and option.isdecimal() else str(option)


def _objective_axes(run: Run, members: Sequence[Record]) -> list[_Coordinate]:
    axes = []
    for name in dict.fromkeys(("error", "lut", "latency", *run.study.search.objectives)):
        quantity, clock = OBJECTIVES[name], run.study.target.clock_mhz
        values = [quantity.value(record.measurement, clock) for record in members if record.measurement]
        scale, unit = error_scale(run.task) if name in ERRORS else (1.0, quantity.unit)
        digits = ",.1f" if scale > 1 else ",.3f" if name in ERRORS else ",.2f" if quantity.cycles else ",.0f"
        low, high = min(values, default=0.0), max(values, default=0.0)
        places = [(value - low) / (high - low) if high > low else 0.5 for value in values]
        ends = [(0.0, low), (1.0, high)] if high > low else [(0.5, low)]
        labels = [(height, f"{scale * value:{digits}}") for height, value in ends]
        axes.append(
            _Coordinate(f"{name}<br>{unit}" if name != quantity.unit.lower() else quantity.unit, places, labels)
        )
    return axes
