"""Writes the table of a study's keys into docs/study.md, from the schema."""

from __future__ import annotations

from pathlib import Path

from codesign.study import markdown_table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "study.md"
BEGIN, END = "<!-- keys -->\n", "<!-- end of keys -->\n"


def current(text: str) -> str:
    """Return the page ``text`` with the table as the schema has it now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + markdown_table() + END + after


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
