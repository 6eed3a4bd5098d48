"""Reading the text reports of Vivado and HLS: lines with their numbers, headers, and ruled tables, taken at their word.

What is cut short, damaged or of another kind is a ReportError that names file and line: a figure is read whole or not
at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

from codesign.errors import ReportError

_RULE = re.compile(r"\s*\+[-+]*\+\s*")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True)
class Report:
    """The lines of one file; line numbers are from 0 here and from 1 in messages."""

    path: Path
    lines: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The file at ``path``; ReportError where it is not there or empty."""
        try:
            text = path.read_text(encoding="utf-8-sig", errors="replace")  # host names may be in any encoding
        except OSError as error:
            raise ReportError(f"{path}: the report cannot be read: {error.strerror}") from None
        if not text.strip():
            raise ReportError(f"{path}:1: the report is empty")
        return cls(path, tuple(text.splitlines()))

    def fail(self, line: int, message: str) -> NoReturn:
        """Raise ReportError for this line."""
        raise ReportError(f"{self.path}:{line + 1}: {message}")

    def find(self, pattern: str, what: str, start: int = 0) -> int:
        """The first line from ``start`` on that ``pattern`` matches as a whole."""
        found = (number for number in range(start, len(self.lines)) if re.fullmatch(pattern, self.lines[number]))
        number = next(found, None)
        if number is None:
            self.fail(len(self.lines) - 1, f"the report ends without {what}")
        return number

    def section(self, title: str, start: int = 0) -> int:
        """The line of the heading ``N. TITLE``, which a line of dashes follows: not its place in the contents."""
        pattern = rf"\d+(\.\d+)*\.? ({title})"
        at = self.find(pattern, f"a section {title!r}", start)
        while not re.fullmatch("-+", self.lines[at + 1] if at + 1 < len(self.lines) else ""):
            at = self.find(pattern, f"a section {title!r}", at + 1)
        return at

    def number(self, text: str, line: int, what: str) -> float:
        """A plain decimal number."""
        if not _NUMBER.fullmatch(text):
            self.fail(line, f"{what} is {text!r}, which is no number")
        return float(text)

    def table(self, start: int, *, heading: bool = True) -> Table:
        """The first ruled table from ``start`` on, whole: from its first rule to the last.

        With a ``heading``, its first row stands between rules.
        """
        first = next((n for n in range(start, len(self.lines)) if _RULE.fullmatch(self.lines[n])), None)
        if first is None:
            self.fail(len(self.lines) - 1, "the report ends where a table must follow")
        rule, rows, last = self.lines[first].rstrip(), list[Row](), first
        for number in range(first + 1, len(self.lines)):
            text = self.lines[number].rstrip()
            if text == rule:
                if last == number - 1:  # an empty table has one rule behind its heading
                    self.fail(number, "the table has two rules and no row between them")
                last = number
            elif text.lstrip().startswith("|") and text.endswith("|") and len(text) == len(rule):
                rows.append(Row(number, tuple(cell.strip() for cell in text.strip()[1:-1].split("|"))))
            else:
                break
        if not rows or rows[-1].line > last:
            self.fail(rows[-1].line if rows else first, "the table breaks off here, without its last rule")
        if heading and (rows[0].line + 1 == len(self.lines) or self.lines[rows[0].line + 1].rstrip() != rule):
            self.fail(rows[0].line, "the table has no rule behind its heading")
        return Table(self, rule.count("+") - 1, tuple(rows))


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of ``columns`` cells; where the table has a heading it is the first row."""

    report: Report
    columns: int
    rows: tuple[Row, ...]

    def row(self, names: Sequence[str], *, missing: bool = False) -> Row | None:
        """The first row whose first cell is one of ``names``, but for asterisks behind it.

        ``missing`` ones are None; otherwise they are an error, as is a row with another number of cells.
        """
        for row in self.rows:
            if row.cells[0].rstrip("* ") in names:
                if len(row.cells) != self.columns:
                    self.report.fail(row.line, f"{len(row.cells)} cells in a table of {self.columns} columns")
                return row
        if not missing:
            self.report.fail(self.rows[-1].line, f"the table that ends here has no row {names[0]!r}")
        return None

    def column(self, name: str) -> int:
        """The column of the heading that is called ``name``."""
        if name not in self.rows[0].cells:
            self.report.fail(self.rows[0].line, f"the table has no column {name!r}")
        return self.rows[0].cells.index(name)

    def get(self, row: Row, name: str) -> float:
        """The number of ``row`` in the column that is called ``name``."""
        return self.report.number(row.cells[self.column(name)], row.line, f"{row.cells[0]}, {name}")


@dataclass(frozen=True)
class Header:
    """Who wrote a report of Vivado, and of what. ``state`` is empty where that kind of report does not say it."""

    version: str
    command: str
    design: str
    device: str
    state: str

    @classmethod
    def read(cls, report: Report, command: str) -> Self:
        """The header of a report that ``command`` writes; ReportError where it is of another kind."""
        lines = report.lines
        opening = next((n for n, line in enumerate(lines[:4]) if re.fullmatch("-{20,}", line)), None)
        if opening is None:
            report.fail(0, f"this is no report of Vivado: {lines[0][:60]!r}")
        entries: dict[str, tuple[int, str]] = {}
        end = next((n for n in range(opening + 1, len(lines)) if not lines[n].startswith("| ")), len(lines))
        for number in range(opening + 1, end):
            key, _, value = lines[number][2:].partition(":")
            entries[key.strip()] = number, value.strip()
        if end == len(lines) or lines[end] != lines[opening]:
            report.fail(min(end, len(lines) - 1), "the header of the report breaks off here")

        def entry(name: str) -> tuple[int, str]:
            if name not in entries:
                report.fail(end, f"the header says no {name!r}")
            return entries[name]

        line, tool = entry("Tool Version")
        version = re.match(r"Vivado v\.(\d{4}\.\d+\S*)", tool)
        if version is None:
            report.fail(line, f"the report is not of Vivado but of {tool!r}")
        line, written = entry("Command")
        if written.split()[:1] != [command]:
            report.fail(line, f"the report is of {written.split()[:1]}, not of {command}")
        # timing reports leave the speed grade out of the device
        grade = re.match(r"-\w+", entries.get("Speed File", (0, ""))[1])
        device = entry("Device")[1]
        if command == "report_timing_summary" and grade:
            device += grade.group()
        return cls(version[1], written, entry("Design")[1], device, entries.get("Design State", (0, ""))[1])


def same_part(found: str, asked: str) -> bool:
    """Whether a report's device is the part asked for, which reports spell in many ways.

    ``7z020clg400-1``, ``7z020-clg400`` and ``xczu7evffvc1156-2`` are xc7z020clg400-1 and xczu7ev-ffvc1156-2-e: without
    ``xc``, with fewer dashes, cut short behind device, package or speed grade.
    """
    pieces = asked.lower().removeprefix("xc").split("-")
    plain = re.sub(r"[^a-z0-9]", "", found.lower().removeprefix("xc"))
    return plain in {"".join(pieces[:count]) for count in range(1, len(pieces) + 1)}
