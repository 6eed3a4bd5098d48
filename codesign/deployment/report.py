"""The report of a deployment, to be shared: what was checked, versions, figures, times; no names, hosts or paths."""

from __future__ import annotations

import getpass
import platform
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from boards.agent.archive import sha256
from boards.bundle import Bundle
from codesign.candidate_words import number_words
from codesign.cli import version
from codesign.deployment.figures import VIRTUAL
from codesign.deployment.session import Deployed
from codesign.deployment.subject import Subject
from codesign.errors import CandidateError, CodesignError
from codesign.measurement import Figure
from codesign.target import is_virtual

FORMAT = 1
_COMMON = ("pynq", "xilinx", "ubuntu", "root", "localhost", "")
"""Names of images and their users, which tell nothing of a person, and are words of messages besides."""
_LOG = 4000
_SHARE = (
    "This report is made to be shared: it holds no user, host, key or path of the one who ran it. If the deployment "
    "failed, or a figure is not what it should be, attach this file and the .json beside it to an issue of codesign. "
    "A report of a success helps too: it says that this board and image work."
)
_SIMULATED = f"Simulated. No board took part: every figure is of a {VIRTUAL}."


def report_values(
    subject: Subject, host: str, known: Deployed, at: str, error: CodesignError | None, date: str
) -> dict[str, Any]:
    """The report as plain JSON values; the keys are in docs/json.md. ``at`` is the step that failed, if one did."""
    manifest, hello = subject.bundle.manifest, known.described.get("hello", {})
    names = _names(subject, host)
    return {
        "format": FORMAT,
        "outcome": "passed" if error is None else "failed",
        "failed_at": None if error is None else at,
        "error": None if error is None else _error(error, names),
        "simulated": hello.get("simulated", True if is_virtual(host) else None),
        "date": date[:10],
        "codesign": version(),
        "host": {"system": f"{platform.system()} {platform.machine()}", "python": platform.python_version()},
        "bundle": {
            "sha256": sha256(subject.bundle.content()),
            **{key: manifest[key] for key in ("board", "part", "clock_mhz", "build_id", "network", "graph", "design")},
            "made_by": manifest["codesign"],
        },
        "board": dict(known.described),
        "checks": [
            {"name": check.name, "outcome": check.outcome, "words": _without(check.words, names)}
            for check in known.checks
        ],
        "figures": known.measurement.to_json(),
        "before": comparison(subject.bundle, known),
        "seconds": dict(known.seconds),
    }


def comparison(bundle: Bundle, known: Deployed) -> list[dict[str, Any]]:
    """What the board showed beside what was known before: rows of ``name, unit, search, scheduled, board, ratio``.

    ``search``: simulated, of the network alone. ``scheduled``: of the accelerator, which has the words of a frame going
    in and out besides; ``ratio`` is to this. Either is None where it is not known.
    """
    manifest, figures = bundle.manifest, known.measurement.figures
    candidate = manifest.get("figures", {}).get("candidate", {})
    asked, made = manifest.get("asked_clock_mhz"), manifest["clock_mhz"]
    simulated = {
        name: candidate[name]["value"] if name in candidate else None for name in ("latency_cycles", "interval_cycles")
    }
    cycles, latency = simulated["latency_cycles"], manifest["latency_cycles"]
    before = {
        "board_latency_cycles": ("latency", cycles, latency),
        "board_interval_cycles": ("interval", simulated["interval_cycles"], manifest["interval_cycles"]),
        "board_latency_us": ("latency", cycles / asked if cycles is not None and asked else None, latency / made),
        "board_clock_mhz": ("clock", asked, made),
    }
    return [
        {
            "name": name, "unit": figures[figure].unit, "search": search, "scheduled": scheduled,
            "board": figures[figure].value, "ratio": figures[figure].value / scheduled,
        }
        for figure, (name, search, scheduled) in before.items()
        if figure in figures
    ]  # fmt: skip


def comparison_headings(*, simulated: bool) -> tuple[str, ...]:
    """Of a table of :func:`comparison`."""
    board = "on a virtual board (simulated)" if simulated else "on the board"
    return "", "network alone (search)", "accelerator (scheduled)", board, "ratio"


def comparison_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A line of that table."""
    numbers = (number_words(row[key]) if row[key] is not None else "" for key in ("search", "scheduled", "board"))
    return f"{row['name']}, {row['unit']}", *numbers, f"{row['ratio']:.3f}"


def markdown(values: Mapping[str, Any]) -> str:
    """The report for reading."""
    board = values["bundle"]["board"]
    outcome = "passed" if values["outcome"] == "passed" else f"failed at: {values['failed_at']}"
    lines = [f"# Self-test of codesign on {'a virtual ' if values['simulated'] else ''}{board}: {outcome}", ""]
    if values["simulated"]:
        lines += [f"**{_SIMULATED}**", ""]
    lines += [_SHARE, ""]
    if values["error"] is not None:
        lines += ["## What failed", "", *_block([values["error"]["message"]])]
        if values["error"]["log"]:
            lines += ["The end of its log:", "", *_block(values["error"]["log"].splitlines())]
    lines += ["## What was deployed", "", *_table(("", ""), [*values["bundle"].items(), ("date", values["date"])])]
    checks = [(check["name"], check["outcome"], check["words"]) for check in values["checks"]]
    lines += ["## Checks", "", *_table(("check", "outcome", "found"), checks)]
    figures = {name: Figure.from_json(figure) for name, figure in values["figures"].items()}
    if figures:
        rows = [
            (name, number_words(f.value), f.unit, f.provenance.value, f"{f.tool} {f.version}", _details(f))
            for name, f in figures.items()
        ]
        lines += ["## Figures", "", *_table(("figure", "value", "unit", "provenance", "tool", "details"), rows)]
    compared = [comparison_cells(row) for row in values["before"]]
    if compared:
        headings = comparison_headings(simulated=bool(values["simulated"]))
        lines += ["## Against what was known before", "", *_table(headings, compared)]
    return "\n".join([*lines, *_surroundings(values)])


def _surroundings(values: Mapping[str, Any]) -> list[str]:
    hello = values["board"].get("hello", {})
    found = {
        "codesign": values["codesign"],
        "computer": f"{values['host']['system']}, Python {values['host']['python']}",
        **{f"board: {key}": value for key, value in hello.items() if key != "versions"},
        **{f"board: {name}": value for name, value in hello.get("versions", {}).items()},
    }
    times = [(name, f"{seconds:.2f}") for name, seconds in values["seconds"].items()]
    return [
        *("## Versions and surroundings", "", *_table(("", ""), found.items())),
        *("## Times", "", *_table(("step", "seconds"), times)),
    ]


def _details(figure: Figure) -> str:
    plain = {key: value for key, value in figure.details.items() if isinstance(value, str | int | float)}
    return ", ".join(f"{k}: {number_words(v) if isinstance(v, int | float) else v}" for k, v in plain.items())


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(headings), line(["---"] * len(headings)), *(line(row) for row in rows), ""]


def _block(lines: Iterable[str]) -> list[str]:
    return ["```", *(line.replace("```", "'''") for line in lines), "```", ""]


def _error(error: CodesignError, names: Mapping[str, str]) -> dict[str, str]:
    message = str(error).split("\n\n")[0]  # what follows is for the terminal alone
    log = error.log[-_LOG:] if isinstance(error, CandidateError) else ""
    return {"kind": type(error).__name__, "message": _without(message, names), "log": _without(log, names)}


def _names(subject: Subject, host: str) -> dict[str, str]:
    """What must not be in the report, by what stands in its place."""
    user, _, board = host.rpartition("@")
    paths = [(str(path), "FOLDER") for path in (subject.folder.absolute(), subject.folder, Path.cwd())]
    names = [(user, "USER"), (board, "BOARD"), (socket.gethostname(), "COMPUTER")]
    with suppress(OSError, KeyError, RuntimeError):  # a container's user may have neither name nor home
        names.append((getpass.getuser(), "USER"))
        paths.append((str(Path.home()), "FOLDER"))
    if is_virtual(host):
        names = names[2:]
    return {
        **{text: word for text, word in paths if len(text) > 1},
        **({} if is_virtual(host) else {host: "BOARD"}),
        **{text: word for text, word in names if text not in _COMMON},
    }


def _without(text: str, names: Mapping[str, str]) -> str:
    for name, word in names.items():
        if name not in _COMMON:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", word, text)
    text = re.sub(r"(?<![\w.])(/home|/Users)/[\w.-]+|(?<![\w./])/root\b", "HOME", text)
    text = re.sub(r"[\w.+-]+@[\w.-]+", "USER@BOARD", text)
    text = re.sub(r"\bSHA256:[\w+/=]+", "KEY", text)
    return re.sub(
        r"(?<![\w.])(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){3,})(?![\w.])", "ADDRESS", text
    )
