"""Pieces of HTML that the report's sections are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

# Plots take the paper's width while they are printed, and folded sections open; both go back afterwards.
_SCRIPT = """
const plots = () => document.querySelectorAll('.js-plotly-plot');
let closed = [];
window.addEventListener('beforeprint', () => {
  closed = [...document.querySelectorAll('details:not([open])')];
  closed.forEach(element => { element.open = true; });
  plots().forEach(plot => Plotly.relayout(plot, {autosize: false, width: plot.closest('.wide-plot') ? 960 : 660}));
});
window.addEventListener('afterprint', () => {
  closed.forEach(element => { element.open = false; });
  plots().forEach(plot => Plotly.relayout(plot, {autosize: true, width: null}));
});
const reveal = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === 'DETAILS') { target.open = true; target.scrollIntoView(); }
};
window.addEventListener('hashchange', reveal);
window.addEventListener('load', reveal);
"""


@dataclass(frozen=True)
class Html:
    """Text that is HTML already; everything else is escaped."""

    text: str


Cell = str | Html


def document(title: str, body: Iterable[str]) -> str:
    """A whole page that loads nothing: style, script and plotting library are in it."""
    from codesign.report.plots import plotly_script

    style = resources.files("codesign.report").joinpath("report.css").read_text(encoding="utf-8")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{escape(title)} – codesign</title>'
        f"<style>{style}</style>{plotly_script()}</head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>{_SCRIPT}</script></body></html>\n"
    )


def section(name: str, title: str, *content: str) -> str:
    """A section of the page; ``name`` is what links to it."""
    return f'<section id="{escape(name)}"><h2>{escape(title)}</h2>{"".join(content)}</section>'


def paragraph(text: str) -> str:
    """A paragraph of plain text; none without text."""
    return f"<p>{escape(text)}</p>" if text else ""


def note(text: Cell) -> str:
    """A paragraph in the background."""
    return f'<p class="note">{html(text)}</p>'


def plot(text: str, label: str) -> str:
    """A plot in its frame; ``label`` is read aloud."""
    return f'<div class="plot" role="figure" aria-label="{escape(label)}">{text}</div>'


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """A few figures to see first, each over its label."""
    inner = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span></div>' for value, label in values
    )
    return f'<div class="tiles">{inner}</div>'


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    wide: Collection[int] = (),
    numbers: Collection[int] = (),
    code: Collection[int] = (),
) -> str:
    """A table that scrolls inside itself; columns hold sentences (``wide``), ``numbers`` or digests (``code``)."""
    kinds = {**dict.fromkeys(wide, "wide"), **dict.fromkeys(numbers, "number"), **dict.fromkeys(code, "code")}

    def cells(tag: str, row: Sequence[Cell]) -> str:
        classes = [f' class="{kinds[place]}"' if place in kinds else "" for place in range(len(row))]
        pairs = zip(row, classes, strict=True)
        return "<tr>" + "".join(f"<{tag}{kind}>{html(cell)}</{tag}>" for cell, kind in pairs) + "</tr>"

    body = "".join(cells("td", row) for row in rows)
    return f'<div class="scroll"><table><thead>{cells("th", headings)}</thead><tbody>{body}</tbody></table></div>'


def html(cell: Cell) -> str:
    """Plain text escaped, HTML as it is."""
    return cell.text if isinstance(cell, Html) else escape(cell)


def bar(share: float, label: str, limit: float | None = None) -> Html:
    """A bar of ``share`` of its room, with a dashed line at ``limit``, both 0 to 1; ``label`` is read aloud."""
    width = 100.0 * min(max(share, 0.0), 1.0)
    line = (
        "" if limit is None else f'<line class="limit" x1="{100 * limit:.3f}" x2="{100 * limit:.3f}" y1="0" y2="10"/>'
    )
    return drawing(f'<rect class="room" width="100" height="10"/>{rect(0, width, 2, 6)}{line}', label)


def rect(start: float, width: float, top: float, height: float, kind: str = "used") -> str:
    """A rectangle of a :func:`drawing`, which is 100 wide and 10 high."""
    return f'<rect class="{kind}" x="{start:.3f}" y="{top:g}" width="{width:.3f}" height="{height:g}"/>'


def drawing(shapes: str, label: str) -> Html:
    """A small picture in a table's cell."""
    return Html(
        f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">{shapes}</svg>'
    )


def key(kind: str) -> str:
    """A sample of a colour, for a legend."""
    return f'<svg class="key" viewBox="0 0 20 10"><rect class="{kind}" width="20" height="10"/></svg>'
