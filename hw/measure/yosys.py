"""Yosys as an instrument: resources of a design out of context, and the mapped netlist that timing reads.

Out of context: no I/O and clock buffers, module ports are the boundary. DSP blocks and shift-register LUTs are
not used, so that a LUT count means what the emitted structure costs; block RAM and LUT RAM are as Yosys decides.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codesign.errors import StorageError, ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import Part
from hw.measure import tools
from hw.measure.cache import Cache
from hw.measure.plan import BuildPlan, write_files

SCRIPT = "synthesize.ys"
NETLIST = "yosys.json"
ARTEFACT = "netlist.json.gz"
CACHED = "made before from the same files by the same tool, and taken from the cache"
# changes when strip() keeps something else
_KEPT_AS = "netlist-1"

# LUTs each cell occupies (UG474, UG574); for INV see count().
LUTS = {
    **dict.fromkeys(("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "LUT6_2"), 1),
    **dict.fromkeys(("RAM32X1S", "RAM64X1S", "SRL16E", "SRLC16E", "SRLC32E"), 1),
    **dict.fromkeys(("RAM32X1D", "RAM64X1D", "RAM128X1S"), 2),
    **dict.fromkeys(("RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S"), 4),
    **dict.fromkeys(("RAM32M16", "RAM64M8", "RAM512X1S", "RAM32X16DR8", "RAM64X8SW", "RAM256X1D"), 8),
}
REGISTERS = {f"{name}{edge}": 1 for name in ("FDRE", "FDSE", "FDCE", "FDPE") for edge in ("", "_1")}
CARRIES = {"CARRY4": 1, "CARRY8": 1}
BLOCK_RAMS = {"RAMB36E1": 1.0, "RAMB36E2": 1.0, "RAMB18E1": 0.5, "RAMB18E2": 0.5}
DSPS = {"DSP48E1": 1, "DSP48E2": 1}
ULTRA_RAMS = {"URAM288": 1}
# cost nothing of their own: multiplexers sit behind the LUTs of a slice
FREE = {"INV", "MUXF7", "MUXF8", "MUXF9", "GND", "VCC"}
LUT_RAM_PREFIXES = ("RAM", "SRL")
# what can become a memory: an array of words, or a table written as a case statement
MEMORY = re.compile(r"\bcase[xz]?\b|\]\s*\w+\s*\[|\b(logic|reg|bit|int)\s+(?!signed|unsigned)\w+\s*\[")
# a declaration that rules block RAM out by itself
IN_LUTS = re.compile(r'\(\*[^*]*\bram_style\s*=\s*"(distributed|logic)"[^*]*\*\)[^;]*;')
# a memory's content, word by word from the first
TABLE = re.compile(r"initial begin\n((?: *(?P<memory>\w+)\[\d+\] = \d+'h[0-9a-f]+;\n)+) *end$", re.MULTILINE)
UNMAPPED_REGISTERS = ("$dff", "$dffe", "$sdff", "$sdffe", "$sdffce")
LUT_RAM_LIBRARIES = {"xc7": "lutrams_xc5v", "xcup": "lutrams_xcu"}


@dataclass(frozen=True)
class Synthesis:
    """What Yosys measured, and the flat netlist it measured it on (Yosys JSON, the top module only)."""

    figures: Measurement
    netlist: dict[str, Any]


def plan(files: Mapping[str, str], top: str, part: Part, *, delay_target_ps: int | None = None) -> BuildPlan:
    """What would be run for these SystemVerilog sources (``.sv``, ``.v``; others are only laid beside them).

    ``delay_target_ps`` is the delay of logic without routing that mapping need not improve on: LUTs are saved
    where a path is faster. Without it every path is mapped for speed.
    """
    tool = tools.find_yosys()
    sources = [name for name in files if name.endswith((".sv", ".v"))]
    target = [] if delay_target_ps is None else [f"scratchpad -set abc9.D {delay_target_ps}"]
    lines = [
        f"read_verilog -sv {' '.join(sources)}",
        *target,
        *_mapping(top, part, block_ram=any(MEMORY.search(IN_LUTS.sub("", files[name])) for name in sources)),
        "delete t:$scopeinfo",
        f"select {top}",
        f"write_json -selected {NETLIST}",
    ]
    return BuildPlan(_tables_as_files(files), "\n".join(lines) + "\n", tool.name, tool.version, top)


def _tables_as_files(files: Mapping[str, str]) -> dict[str, str]:
    """The same sources with the content of memories in files beside them.

    The netlist is the same, but Yosys takes quadratic time for words written one by one: 2 s for 2,048, 100 s for
    16,384.
    """
    found: dict[str, str] = {}

    def moved(table: re.Match[str]) -> str:
        words = re.findall(r"\[(\d+)\] = \d+'h(\w+);", table[1])
        if [int(index) for index, _ in words] != list(range(len(words))):
            return table[0]
        name = f"table_{len(found)}.mem"
        found[name] = "\n".join(word for _, word in words) + "\n"
        return f'initial $readmemh("{name}", {table["memory"]});'

    sources = {name: TABLE.sub(moved, text) if name.endswith((".sv", ".v")) else text for name, text in files.items()}
    return {**sources, **found}


def _mapping(top: str, part: Part, *, block_ram: bool) -> list[str]:
    """The commands of ``synth_xilinx``.

    Where no memory can become block RAM, reading the block RAM cells and their mapping rules is left out: 1.3 s of
    every run, about a sixth of that of a design of 3,000 LUTs. A memory that could after all fails the run.
    """
    options = f"-family {part.family} -top {top} -flatten -abc9 -noiopad -noclkbuf -nodsp -nosrl"
    # Vivado honours keep on a register, Yosys only on its cell: counters doubled for their fan-out stay apart.
    kept = ["proc", f"setattr -set keep 1 a:keep %ci1:+{','.join(UNMAPPED_REGISTERS)}[Q] a:keep %d"]
    if block_ram:
        return [f"synth_xilinx {options} -run begin:prepare", *kept, f"synth_xilinx {options} -run prepare:"]
    return [
        "read_verilog -lib -specify +/xilinx/cells_sim.v",
        f"hierarchy -check -top {top}",
        *kept,
        f"synth_xilinx {options} -run prepare:map_memory",
        "select -assert-none t:$mem* a:ram_style %d",
        f"memory_libmap -lib +/xilinx/{LUT_RAM_LIBRARIES[part.family]}.txt",
        "techmap -map +/xilinx/lutrams_xc5v_map.v",
        f"synth_xilinx {options} -run map_ffram:",
    ]


def synthesize(build: BuildPlan, workdir: Path, *, timeout_s: float, cache: Cache | None = None) -> Synthesis:
    """Run the plan in ``workdir`` and count what came out; leaves ``yosys.log`` and ``netlist.json.gz`` there.

    With ``cache`` a plan that was run before is not run again. ToolRunError, with the tail of the log, when Yosys
    fails, exceeds ``timeout_s``, or maps to a cell type that has no place in the counts.
    """
    netlist, is_cached = run(build, workdir, timeout_s=timeout_s, cache=cache)
    return counted(netlist, build, {"synthesis": "whole", **({"cached": CACHED} if is_cached else {})})


def counted(netlist: Mapping[str, Any], build: BuildPlan, how: Mapping[str, Any]) -> Synthesis:
    """The resources of the netlist that ``build`` gave; ``how`` it was found is in the details of every figure."""
    figures = count(netlist["modules"][build.top], build.version).figures
    told = {name: replace(figure, details={**figure.details, **how}) for name, figure in figures.items()}
    return Synthesis(Measurement(told), dict(netlist))


def run(build: BuildPlan, workdir: Path, *, timeout_s: float, cache: Cache | None) -> tuple[dict[str, Any], bool]:
    """The netlist of a plan, left as ``netlist.json.gz`` in ``workdir``, and whether it was in the cache."""
    key = f"{_KEPT_AS}-{build.digest()}"
    if cache is not None and (kept := cache.get(key)) is not None:
        write_files(workdir, {ARTEFACT: kept})
        return load(workdir / ARTEFACT), True
    netlist = _run(build, workdir, timeout_s)
    save(netlist, workdir / ARTEFACT)
    if cache is not None:
        cache.put(key, (workdir / ARTEFACT).read_bytes())
    return netlist, False


def _run(build: BuildPlan, workdir: Path, timeout_s: float) -> dict[str, Any]:
    tool = tools.find_yosys()
    write_files(workdir, {**build.files, SCRIPT: build.script})
    log = tools.run_tool(
        [*tool.command, SCRIPT], cwd=workdir, timeout_s=timeout_s, env=tool.environment, log=workdir / "yosys.log",
        name=tool.name,
    )  # fmt: skip
    written = workdir / NETLIST
    try:
        whole = json.loads(written.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        tools.check_disk(tool.name, log, workdir)
        raise ToolRunError("yosys ended without a whole netlist", log[-tools.LOG_TAIL :]) from None
    written.unlink()
    return strip(whole, build.top)


def strip(netlist: Mapping[str, Any], top: str) -> dict[str, Any]:
    """The top module with what timing and counting need: no library modules, scope cells, attributes, private names."""
    module = netlist["modules"][top]
    cells = {
        name: {key: cell[key] for key in ("type", "parameters", "port_directions", "connections")}
        for name, cell in module["cells"].items()
        if cell["type"] != "$scopeinfo"
    }
    names = {name: {"bits": net["bits"]} for name, net in module["netnames"].items() if not net["hide_name"]}
    kept = {"ports": module["ports"], "cells": cells, "netnames": names}
    return {"creator": netlist.get("creator", ""), "modules": {top: kept}}


def save(netlist: Mapping[str, Any], path: Path) -> None:
    """Write a netlist as gzipped JSON, the same bytes for the same netlist."""
    text = json.dumps(netlist, separators=(",", ":"))
    try:
        path.write_bytes(gzip.compress(text.encode(), compresslevel=1, mtime=0))
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; make room there or choose another folder"
        ) from error


def load(path: Path) -> dict[str, Any]:
    """Inverse of :func:`save`."""
    netlist: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return netlist


def count(module: Mapping[str, Any], version: str) -> Measurement:
    """Resources of a flat module: ``lut, ff, carry, bram, dsp``, and ``uram`` where there is one.

    An inverter (INV) that feeds nothing but LUTs costs nothing, as every flow absorbs it into them; any other is a
    LUT, since the carry chain and registers of a slice cannot invert. ``details`` of ``lut`` has both numbers.
    Block RAM is in 36 Kb tiles.
    """
    cells = Counter(str(cell["type"]) for cell in module["cells"].values())
    known = {*LUTS, *REGISTERS, *CARRIES, *BLOCK_RAMS, *DSPS, *ULTRA_RAMS, *FREE}
    unknown = [f"{kind} ({number})" for kind, number in sorted(cells.items()) if kind not in known]
    if unknown:
        raise ToolRunError(f"yosys mapped to cells that have no place in the counts: {', '.join(unknown)}")

    def total(weights: Mapping[str, float]) -> float:
        return float(sum(cells[kind] * weight for kind, weight in weights.items()))

    inverters = _inverters(module)
    memory = total({kind: weight for kind, weight in LUTS.items() if kind.startswith(LUT_RAM_PREFIXES)})
    details = {
        "cells": dict(sorted(cells.items())),
        "logic": total(LUTS) + inverters - memory,
        "memory": memory,
        "inverters_as_luts": inverters,
        "inverters_absorbed": cells["INV"] - inverters,
        "context": "out of context",
    }
    values: dict[str, tuple[float, str, dict[str, Any]]] = {
        "lut": (total(LUTS) + inverters, "LUT", details),
        "ff": (total(REGISTERS), "FF", {}),
        "carry": (total(CARRIES), "CARRY8" if cells["CARRY8"] else "CARRY4", {}),
        "bram": (total(BLOCK_RAMS), "BRAM36", {}),
        "dsp": (total(DSPS), "DSP", {}),
    }
    if cells["URAM288"]:
        values["uram"] = (total(ULTRA_RAMS), "URAM", {})
    return Measurement(
        {
            name: Figure(value, unit, Provenance.SYNTHESIZED, "yosys", version, extra)
            for name, (value, unit, extra) in values.items()
        }
    )


def _inverters(module: Mapping[str, Any]) -> int:
    """Inverters that need a LUT of their own."""
    outputs = {cell["connections"]["O"][0] for cell in module["cells"].values() if cell["type"] == "INV"}
    elsewhere = {
        bit
        for cell in module["cells"].values()
        if outputs and cell["type"] != "INV" and not cell["type"].startswith("LUT")
        for bits in cell["connections"].values()
        for bit in bits
    }
    at_ports = {bit for port in module["ports"].values() for bit in port["bits"]}
    return len(outputs & (elsewhere | at_ports))
