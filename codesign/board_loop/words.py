"""What became of candidates on boards, in words: never without saying which boards were virtual ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codesign.board_loop.result import BoardResult
from codesign.measurement import Figure
from codesign.record import Record
from codesign.run import Run

COLUMNS: Mapping[str, str] = {
    "board_latency_cycles": "latency, cycles", "board_latency_us": "latency, us",
    "board_interval_cycles": "interval, cycles", "board_clock_mhz": "clock, MHz", "board_fps": "throughput, 1/s",
    "board_power_w": "power, W", "board_supply_w": "power of the whole board, W",
}  # fmt: skip
"""Headings by figure, in the order in which they are shown."""


def results_of(run: Run, digest: str) -> tuple[BoardResult, ...]:
    """Of one candidate, in the order they became known."""
    return tuple(result for result in run.boards if result.digest == digest)


def board_json(result: BoardResult) -> dict[str, Any]:
    """A result as plain JSON values; the keys are documented in docs/json.md."""
    values = result.to_json()
    return {
        "id": values.pop("digest"),
        "simulated": result.simulated,
        "figures": values.pop("measurement") or {},
        **values,
    }


def where(result: BoardResult) -> str:
    """The board; a virtual one is said to be one."""
    return f"{result.host} (simulated, no board)" if result.simulated else result.host


def of_design(run: Run, result: BoardResult, record: Record) -> bool:
    """Whether what ran is the design that stands for the candidate, and not that of another training of it."""
    return run.designs.of(result.digest, result.design) == record.design


def outcome(run: Run, result: BoardResult, record: Record) -> str:
    """How it ended; of a failure, where and why; and whether it was other hardware than the candidate's now."""
    other = "" if of_design(run, result, record) else " (hardware of another training)"
    if result.failed_at is None:
        return f"every output equal, bit for bit{other}"
    return f"failed at {result.failed_at}: {result.reason.splitlines()[0]}{other}"


def columns_of(results: Sequence[BoardResult]) -> list[str]:
    """Names of the figures that a table of these results shows; their headings are in :data:`COLUMNS`."""
    found = {name for result in results if result.measurement is not None for name in result.measurement.figures}
    return [name for name in COLUMNS if name in found]


def cells(result: BoardResult, columns: Sequence[str]) -> list[str]:
    """Its figures, one for each of ``columns``; empty where there is none."""
    figures = result.measurement.figures if result.measurement is not None else {}
    return [f"{figures[name].value:,.6g}" if name in figures else "" for name in columns]


def figures_line(result: BoardResult) -> str:
    """Its figures on one line; empty where there is none."""
    figures = result.measurement.figures if result.measurement is not None else {}
    named = [(COLUMNS[name].partition(",")[0], figures[name]) for name in COLUMNS if name in figures]
    return ", ".join(f"{title} {figure.value:,.6g} {figure.unit}" for title, figure in named)


def provenance(result: BoardResult) -> str:
    """Of its figures of the board, with their tools."""
    figures = result.measurement.figures if result.measurement is not None else {}
    tools = {_origin(figure) for name, figure in figures.items() if name.startswith("board_")}
    return "; ".join(sorted(tools))


def _origin(figure: Figure) -> str:
    return f"{figure.provenance.value} by {figure.tool} {figure.version}"
