"""A candidate in words: its layers, its hardware, its figures."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table

from codesign.accuracy import error_words
from codesign.architecture import Activation, Architecture, Mode
from codesign.counting import number_of
from codesign.fmax_trust import fmax_caveat
from codesign.measurement import Figure, Provenance
from codesign.predicting import is_predicted, uncertainty
from codesign.record import Final, Record


def layer_words(architecture: Architecture) -> list[str]:
    """A network from its input to its logits, a phrase per layer."""
    layers = [f"{number_of(architecture.inputs, 'input')} of {number_of(architecture.input_bits, 'bit')}"]
    for layer in architecture.convolutions:
        words = f"{number_of(layer.filters, 'filter')} of {layer.kernel} x {layer.kernel}, "
        words += _activation_words(layer.activation)
        words += ", joined with what it reads" if layer.joined else ""
        layers.append(words + (f", the largest of {layer.pool} x {layer.pool}" if layer.pool > 1 else ""))
    layers += [f"{number_of(one.units, 'unit')}, {_activation_words(one.activation)}" for one in architecture.hidden]
    return [*layers, number_of(architecture.outputs, "output")]


def _activation_words(activation: Activation) -> str:
    return "ternary activation" if activation == "ternary" else f"{activation}-bit activation"


def hardware_words(architecture: Architecture) -> str:
    """How a network becomes RTL."""
    hardware = architecture.hardware
    if hardware.mode == "solved":
        return f"each layer folded for: {hardware.target}"
    if hardware.mode == "folded":
        words = f"folded, at most about {number_of(hardware.folding, 'cycle')} per layer"
        if architecture.slid > hardware.folding:
            words += f", but {architecture.slid} at least of a convolution, one for every pixel, padding included"
        return words
    return hardware.mode


def all_figures(record: Record, final: Final | None) -> dict[str, Figure]:
    """What was measured of a candidate during and after the search, by name."""
    figures = dict(record.measurement.figures) if record.measurement else {}
    return {**figures, **(final.measurement.figures if final and final.measurement else {})}


def all_artefacts(record: Record, final: Final | None) -> dict[str, str]:
    """What was kept of a candidate during and after the search: digests by name."""
    return {**record.artefacts, **(final.artefacts if final else {})}


def figure_table(figures: dict[str, Figure], mode: Mode) -> Table:
    """Figures with their provenance, a line each; ``mode`` says how far a modelled Fmax can be trusted."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("figure", "value", "unit", "provenance", "tool", "details"):
        whole = heading not in ("tool", "details")  # where it is narrow, these wrap
        table.add_column(heading, justify="right" if heading == "value" else "left", no_wrap=whole, overflow="fold")
    for name, figure in figures.items():
        tool = f"{figure.tool} {figure.version}"
        details = figure_details(name, figure, mode)
        table.add_row(name, number_words(figure.value), figure.unit, figure.provenance.value, tool, details)
    if measured := days(one.date for one in figures.values() if one.provenance is not Provenance.ESTIMATED):
        table.caption, table.caption_justify = f"measured: {measured}", "left"
    return table


def days(dates: Iterable[str]) -> str:
    """The day of these, or the first and the last; empty where none is known."""
    found = sorted({date for date in dates if date})
    return " to ".join(dict.fromkeys((found[0], found[-1]))) if found else ""


def number_words(value: float) -> str:
    """A number for reading: counts in full, others to four digits."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def figure_details(name: str, figure: Figure, mode: Mode) -> str:
    """What fits beside a figure; all of it is in ``--json``."""
    if is_predicted(figure):
        fitted = number_of(figure.details["fitted_to"], "candidate")
        return f"predicted: {number_words(figure.details['predicted'])}, {uncertainty(figure)}, fitted to {fitted}"
    if name == "fmax":
        plain = [f"period: {1000.0 / figure.value:.2f} ns", fmax_caveat(figure, mode)]
        plain.append(str(figure.details.get("corrected_by", "")))
        return ", ".join(text for text in plain if text)
    plain = [
        f"{key}: {number_words(value) if isinstance(value, float) else value}"
        for key, value in figure.details.items()
        if isinstance(value, str | int | float) and key not in ("context", "behind")
    ]
    if "samples" in figure.details:
        plain.append(error_words(figure, figure.details["samples"]))
    return ", ".join(plain)
