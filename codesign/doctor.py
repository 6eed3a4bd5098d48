"""``codesign doctor``: what was found on this machine, whether it works, and what each missing thing would add."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from codesign.counting import number_of
from codesign.errors import StorageError, ToolError, ToolMissingError, ToolRunError
from codesign.machine import Machine, this_machine
from codesign.place import PROGRAM
from hw.measure import tools
from hw.measure.cache import SETTING, Cache
from hw.measure.nextpnr import DATABASES
from hw.measure.optional_tools import NEXTPNR, VITIS_HLS, VIVADO, OptionalTool
from hw.measure.tools import Tool

PACKAGES = (
    "tensorflow-cpu",
    "tf_keras",
    "QKeras",
    "hls4ml",
    "numpy",
    "scipy",
    "scikit-learn",
    "pymoo",
    "pydantic",
    "rich",
    "plotly",
    "onnx",
    "pandas",
)
NOT_ASKED = "not asked"
"""The version of a tool that takes too long to say it: it was found, and nobody knows whether it works."""
_SILENT_SECONDS = 2.0
_WORKER_MIB = 2048
_ROOM_MIB = 500


@dataclass(frozen=True)
class Finding:
    """One thing looked for. ``problem`` is empty where it works; ``gives`` is what it is for."""

    name: str
    required: bool
    gives: str
    version: str = ""
    place: str = ""
    problem: str = ""


def examine() -> tuple[list[Finding], Machine]:
    """Look for everything, trying the tools out; well under a second where all tools answer at once."""
    machine = this_machine()
    optional = {tool.name: partial(_optional_tool, tool, gives) for tool, gives in _OPTIONAL}
    found = _ask(_NEEDED | optional)
    needed, others = found[: len(_NEEDED)], found[len(_NEEDED) :]
    return [_python(), *_packages(), *needed, *_room(machine), _cache(), *others], machine


def require_tools() -> None:
    """Raise ToolError unless every tool of the default search works."""
    problems = [found.problem for found in _ask(_NEEDED) if found.problem]
    if problems:
        raise ToolError("\n  ".join([*problems, f"see all with: {PROGRAM} doctor"]))


def run(*, as_json: bool) -> int:
    """Print the findings; 1 when the default search could not run."""
    findings, machine = examine()
    able = not any(found.problem for found in findings if found.required)
    if as_json:
        values = {"able": able, "findings": [asdict(found) for found in findings], "machine": asdict(machine)}
        print(json.dumps(values, indent=2))  # noqa: T201
    else:
        _print(findings, machine, able)
    return 0 if able else 1


def _ask(questions: Mapping[str, Callable[[], Finding]]) -> list[Finding]:
    """What is found of each tool, all asked at the same time; it is said for whom one waits, should one wait."""
    stop = threading.Event()

    def answered(question: Callable[[], Finding]) -> Finding:
        with tools.stoppable(stop):
            return question()

    with ThreadPoolExecutor(len(questions)) as pool:
        asked = {pool.submit(answered, question): name for name, question in questions.items()}
        try:
            late = wait(asked, timeout=_SILENT_SECONDS).not_done
            if late:
                _wait_for(asked, late)
        finally:  # on KeyboardInterrupt nobody waits for what nobody wants to know
            stop.set()
        return [one.result() for one in asked]


def _wait_for(asked: Mapping[Future[Finding], str], late: set[Future[Finding]]) -> None:
    from rich.console import Console

    def words() -> str:
        names = ", ".join(name for one, name in asked.items() if one in late)
        return f"waiting for {names}: each has {tools.ANSWER_SECONDS:g} s"

    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(words(), soft_wrap=True)
    with console.status(words()) as status:
        while late:
            late = wait(late, return_when=FIRST_COMPLETED).not_done
            status.update(words())


@dataclass(frozen=True)
class _ToolProbe:
    """How a tool is found, and a job of milliseconds that shows whether it works."""

    name: str
    gives: str
    find: Callable[[], Tool]
    job: Callable[[Tool, Path], list[str]]


def _probe(probe: _ToolProbe) -> Finding:
    begun = time.monotonic()
    try:
        tool = probe.find()
    except ToolError as error:
        return Finding(probe.name, True, probe.gives, problem=str(error))
    left = tools.ANSWER_SECONDS - (time.monotonic() - begun)  # version and job have that time together
    with tempfile.TemporaryDirectory(prefix="codesign-") as folder:
        problem = _try(tool, probe.job(tool, Path(folder)), Path(folder), left)
    return Finding(probe.name, True, probe.gives, tool.version, str(tool.path), problem)


def _try(tool: Tool, command: list[str], folder: Path, timeout_s: float) -> str:
    """Why the tool does not work; empty when it does."""
    code, said = tools.answer(command, cwd=folder, env=tool.environment, timeout_s=timeout_s)
    if code == 0:
        return ""
    if code is None:
        return f"{tool.name} at {tool.path} did not end its simplest job within {tools.ANSWER_SECONDS:g} s"
    lines = said.strip().splitlines() or [f"it ended with code {code}"]
    return f"{tool.name} at {tool.path} fails at its simplest job: {lines[-1]}"


def _yosys_job(tool: Tool, folder: Path) -> list[str]:
    (folder / "script").write_text("design -reset\n", encoding="ascii")
    return [*tool.command, "script"]


def _verilator_job(tool: Tool, folder: Path) -> list[str]:
    (folder / "empty.sv").write_text("module empty;\nendmodule\n", encoding="ascii")
    return [*tool.command, "--lint-only", "empty.sv"]


def _cxx_job(tool: Tool, folder: Path) -> list[str]:
    (folder / "empty.cpp").write_text("#include <vector>\nint main() {}\n", encoding="ascii")
    return [*tool.command, "-std=c++17", "empty.cpp", "-o", "empty"]


def _make_job(tool: Tool, folder: Path) -> list[str]:
    (folder / "Makefile").write_text("all:\n\t@echo made\n", encoding="ascii")
    return [*tool.command]


_TOOLS = (
    _ToolProbe("yosys", "synthesis: LUT, FF, carry, BRAM, DSP of every candidate", tools.find_yosys, _yosys_job),
    _ToolProbe(
        "verilator", "simulation: bit-exactness and cycles of every candidate", tools.find_verilator, _verilator_job
    ),
    _ToolProbe("g++", "compiles the simulations", tools.find_cxx, _cxx_job),
    _ToolProbe("make", "builds the simulations", tools.find_make, _make_job),
)
_NEEDED = {probe.name: partial(_probe, probe) for probe in _TOOLS}
_OPTIONAL = (
    (VIVADO, "bitstreams: codesign build; cells, clock and power: codesign measure --via vivado"),
    (VITIS_HLS, "the same network through hls4ml's HLS path: codesign measure --via hls"),
    (NEXTPNR, "routed clock on xc7 parts without a licence: codesign measure --via nextpnr"),
)


def _python() -> Finding:
    problem = "" if sys.version_info[:2] == (3, 11) else "Python 3.11 is needed; start it with scripts/codesign"
    return Finding("python", True, "runs codesign", platform.python_version(), sys.executable, problem)


def _packages() -> list[Finding]:
    findings = []
    for name in PACKAGES:
        version = _installed(name)
        if version is None and name == "tensorflow-cpu":
            version = _installed("tensorflow")
        problem = "" if version else f"the package {name} is not installed; scripts/codesign installs it"
        findings.append(Finding(name, True, "Python package", version or "", problem=problem))
    if _installed("HGQ2") is not None:
        problem = "HGQ2 brings another package named qkeras; use an environment without it"
        findings.append(Finding("HGQ2", True, "nothing here", problem=problem))
    return findings


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _room(machine: Machine) -> list[Finding]:
    wanted = [
        (
            "memory",
            "2 GiB for each worker",
            machine.memory_mib,
            _WORKER_MIB,
            "search with fewer --workers or elsewhere",
        ),
        ("disk", "runs, in this folder", machine.disk_free_mib, _ROOM_MIB, "make room, or work in another folder"),
        ("temporary disk", "files of a running candidate", machine.temporary_free_mib, _ROOM_MIB, "set TMPDIR"),
    ]
    return [
        Finding(
            name,
            True,
            gives,
            f"{has / 1024:.1f} GiB",
            problem="" if has >= least else f"{name}: {has} MiB, but {least} MiB are needed; {advice}",
        )
        for name, gives, has, least, advice in wanted
    ]


def _cache() -> Finding:
    """What a search does not make again; without it, it only takes longer."""
    name, gives = "cache", "netlists and simulators made before"
    try:
        cache = Cache.of_user()
    except StorageError as error:
        return Finding(name, True, gives, problem=str(error))
    if cache is None:
        return Finding(name, False, f"{gives}: none are kept, {SETTING} is empty", "off")
    used = f"{cache.used_bytes() / 2**30:.1f} of {cache.limit_bytes / 2**30:.0f} GiB"
    return Finding(name, False, f"{gives}; to empty it, delete {cache.folder}", used, str(cache.folder))


def _optional_tool(tool: OptionalTool, gives: str) -> Finding:
    """Whether it is here, and its version; a missing one is no problem of the search's."""
    try:
        place = tool.find("do without it")
    except ToolMissingError as error:
        return Finding(tool.programs[0], False, gives, problem=str(error))
    try:
        version = tool.version_of(place)
    except ToolRunError as error:
        return Finding(tool.programs[0], False, gives, place=str(place), problem=str(error))
    problem = tool.warning(version) if version else ""
    if tool is NEXTPNR and DATABASES not in os.environ:
        problem = f"{DATABASES} is not set: the folder of its chip databases"
    return Finding(tool.programs[0], False, gives, version or NOT_ASKED, str(place), problem)


def _print(findings: list[Finding], machine: Machine, able: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False)
    for heading in ("", "found", "version", "gives"):
        table.add_column(heading, overflow="fold")
    for found in findings:
        mark = Text("ok", "green") if not found.problem else Text("MISSING" if found.required else "-", "bold red")
        if found.version == NOT_ASKED:
            mark = Text("?", "yellow")
        table.add_row(mark, found.name, found.version, found.gives)
    console.print(table)
    cores, gib = number_of(machine.cores, "core"), machine.memory_mib / 1024
    console.print(Text(f"\n{machine.system}, {cores}, {gib:.0f} GiB: {machine.cpu}"))
    for found in findings:
        if found.place and found.required:
            console.print(Text(f"{found.name}: {found.place}", "dim"), soft_wrap=True)
    for found in findings:
        if found.problem and found.required:
            console.print(Text(f"problem: {found.problem}", "bold red"), soft_wrap=True)
        elif found.problem and found.place:
            console.print(Text(f"{found.name}: {found.problem}", "dim"), soft_wrap=True)
    verdict = f"the default search can run here: {PROGRAM} search" if able else "the default search cannot run here"
    console.print(Text(verdict, "bold"))
