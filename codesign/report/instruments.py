"""What other instruments said of a front member, and what it takes on processors."""

from __future__ import annotations

from codesign.place import PROGRAM
from codesign.reading_words import HEADINGS, latencies_of, processor_cells, readings_of, status_words, value_words
from codesign.record import Record
from codesign.report.html import Cell, paragraph, table
from codesign.run import Run


def instruments(run: Run, record: Record) -> str:
    """Two tables; nothing where nobody asked for more than the search did."""
    return _readings(run, record) + _processors(run, record)


def _readings(run: Run, record: Record) -> str:
    rows: list[tuple[Cell, ...]] = []
    shown = readings_of(run, record)
    for one in shown:
        if one.status != "ok":
            rows.append((one.source, status_words(one, shown), "", "", "", "", "", one.reason))
        for name, figure in one.figures.figures.items():
            tool = f"{figure.tool} {figure.version}"
            values = name, value_words(figure), figure.unit, figure.marks, tool, figure.date
            rows.append((one.source, *values, "; ".join(figure.warnings)))
    if not rows:
        return ""
    command = f"{PROGRAM} measure {run.folder.name}:{record.digest[:8]} --via"
    text = f"Asked for by {command}; of each the last figures, and what failed since."
    headings = ("instrument", "figure", "value", "unit", "provenance", "tool", "date", "to be said")
    return f"<h3>What other instruments said</h3>{paragraph(text)}" + table(headings, rows, wide=(7,), numbers=(2,))


def _processors(run: Run, record: Record) -> str:
    found = latencies_of(run, record)
    if not found:
        return ""
    text = (
        "One inference, batch 1, one thread: the FPGA, the C model of the same integer network, and TensorFlow Lite, "
        "which runs its Keras model in float32. Energy is empty (-) where it was not measured."
    )
    rows = [processor_cells(line) for line in found]
    return f"<h3>Beside processors</h3>{paragraph(text)}" + table(HEADINGS, rows, wide=(4,), numbers=(1, 2, 3))
