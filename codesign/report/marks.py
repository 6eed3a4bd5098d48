"""Marks beside numbers in tables, where boards took part: no corrected figure looks like a measured one."""

from __future__ import annotations

from collections.abc import Iterable

from codesign.measurement import Figure, Provenance

_MARKS = {Provenance.CORRECTED: "~", Provenance.ON_BOARD: "*", Provenance.ROUTED: "*"}
_MEANINGS = {
    "~": "~ corrected by what other candidates showed on boards (real or virtual) or routed",
    "*": "* measured on a board, or routed",
}


def marked(text: str, figure: Figure) -> str:
    """The text of a figure with its mark, if it has one."""
    return _MARKS.get(figure.provenance, "") + text


def meanings(figures: Iterable[Figure]) -> str:
    """What the marks of these figures mean; empty without any."""
    found = {_MARKS[figure.provenance] for figure in figures if figure.provenance in _MARKS}
    return "; ".join(words for mark, words in _MEANINGS.items() if mark in found)
