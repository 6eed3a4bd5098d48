"""nextpnr-xilinx (openXC7) as an instrument: the routed clock of a mapped netlist on 7-series parts.

The netlist is the one that Yosys mapped and that was counted. Its ports are more than a package has pins, so each data
port gets a register and only the clock stays a port: paths then begin and end in registers, as inside a larger design.
``LUT6_2`` is taken apart: versions of nextpnr-xilinx before 2026 find no wire for its second output
(openXC7/nextpnr-xilinx, ``split_lut6_2`` in ``xilinx/pack.cc``). It times one speed grade, whatever the part's is.
"""

from __future__ import annotations

import json
import os
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign.errors import TargetError, ToolMissingError, ToolRunError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import Part, Target
from hw.measure import tools
from hw.measure.optional_tools import NEXTPNR
from hw.measure.plan import BuildPlan, write_files

DATABASES = "CODESIGN_CHIPDB"
SEEDS = (1, 2, 3)
FEWEST_SEEDS = 2
GRADE = "-1"
"""The speed grade whose delays a chip database has (openXC7/nextpnr-xilinx, ``bbaexport.py``)."""
SEED_SECONDS = 1800.0
TOP, SCRIPT, MAPPED, NETLIST = "cdg_wrap", "wrap.ys", "mapped.json", "wrapped.json"
CLOCK = "clk"
_FMAX = re.compile(r"^(?:Info|Warning|ERROR): Max frequency for clock\s+'(.*)': (\d+\.\d+) MHz", re.MULTILINE)
_ROUTING = re.compile(r"^Info: (?:Running router|Rout).*$", re.MULTILINE)
# O5 is always the lower half of the table; O6 is one of five inputs where the sixth is constant
_LUT6_2 = """module LUT6_2 (output O5, O6, input I0, I1, I2, I3, I4, I5);
  parameter [63:0] INIT = 64'h0;
  parameter _TECHMAP_CONSTMSK_I5_ = 1'b0;
  parameter _TECHMAP_CONSTVAL_I5_ = 1'bx;
  LUT5 #(.INIT(INIT[31:0])) low (.O(O5), .I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4));
  generate
    if (_TECHMAP_CONSTMSK_I5_ && _TECHMAP_CONSTVAL_I5_ === 1'b1)
      LUT5 #(.INIT(INIT[63:32])) high (.O(O6), .I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4));
    else if (_TECHMAP_CONSTMSK_I5_ && _TECHMAP_CONSTVAL_I5_ === 1'b0)
      LUT5 #(.INIT(INIT[31:0])) high (.O(O6), .I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4));
    else
      LUT6 #(.INIT(INIT)) high (.O(O6), .I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4), .I5(I5));
  endgenerate
endmodule
"""


def find_database(part: Part) -> Path:
    """The chip database of ``part`` in the folder ``CODESIGN_CHIPDB``; ToolMissingError without.

    It is made once per device, ``PART.bin``, by nextpnr-xilinx' ``bbaexport.py`` and ``bbasm``; a name without speed
    grade or package will do.
    """
    device = re.fullmatch(r"(xc7[a-z]\d+\w*?)(?:[a-z]{3}\d+)-\w+", part.name)
    if part.family != "xc7" or not device:
        raise TargetError(f"nextpnr-xilinx routes 7-series parts only, not {part.name!r}; measure without it")
    names = [f"{name}.bin" for name in (part.name, part.name.rsplit("-", 1)[0], device[1])]
    setting = os.environ.get(DATABASES)
    for name in names if setting else ():
        if (Path(setting or "") / name).is_file():
            return Path(setting or "", name).resolve()
    where = f"{DATABASES} = {setting!r} holds none of {', '.join(names)}" if setting else f"{DATABASES} is not set"
    raise ToolMissingError(
        f"nextpnr-xilinx needs a chip database of {part.name}: {where}; set it to the folder of databases, or measure "
        "without it"
    )


def plan(netlist: Mapping[str, Any], top: str) -> BuildPlan:
    """The Yosys run that gives module ``top`` of a mapped netlist registers at its ports, for place and route."""
    tool = tools.find_yosys()
    lines = [
        *(f"read_verilog -lib +/xilinx/{name}.v" for name in ("cells_sim", "cells_xtra")),
        f"read_json {MAPPED}",
        f"read_verilog {TOP}.v",
        f"hierarchy -check -top {TOP}",
        "flatten -noscopeinfo",
        "techmap -map lut6_2.v t:LUT6_2",
        f"select {TOP}",
        # cells that describe scopes abort nextpnr's placement
        f"write_json -selected -noscopeinfo {NETLIST}",
    ]
    files = {f"{TOP}.v": _wrapper(netlist["modules"][top]["ports"], top), "lut6_2.v": _LUT6_2}
    return BuildPlan(files, "\n".join(lines) + "\n", tool.name, tool.version, TOP)


def _wrapper(ports: Mapping[str, Any], top: str) -> str:
    """Inputs from a chain of registers, outputs into registers; all of them kept."""
    data = {name: port for name, port in ports.items() if name != CLOCK}
    assert CLOCK in ports, f"{top} has no port {CLOCK}"
    inputs = {name: len(port["bits"]) for name, port in data.items() if port["direction"] == "input"}
    outputs = {name: len(port["bits"]) for name, port in data.items() if port["direction"] == "output"}
    n_in, n_out = sum(inputs.values()), sum(outputs.values())

    def connected(widths: Mapping[str, int], wire: str) -> list[str]:
        ends = [sum(list(widths.values())[:index]) for index in range(len(widths))]
        return [f".{name}({wire}[{at} +: {widths[name]}])" for name, at in zip(widths, ends, strict=True)]

    connections = [f".{CLOCK}({CLOCK})", *connected(inputs, "given"), *connected(outputs, "taken")]
    register = f"(* keep *) FDRE register (.C({CLOCK}), .CE(1'b1), .R(1'b0)"
    return f"""module {TOP} (input {CLOCK});
  wire [{n_in - 1}:0] given;
  wire [{n_out - 1}:0] taken, held;
  genvar i;
  generate
    for (i = 0; i < {n_in}; i = i + 1) begin : from
      {register}, .D(given[(i + 1) % {n_in}]), .Q(given[i]));
    end
    for (i = 0; i < {n_out}; i = i + 1) begin : into
      {register}, .D(taken[i]), .Q(held[i]));
    end
  endgenerate
  {top} network ({", ".join(connections)});
endmodule
"""


def wrap(netlist: Mapping[str, Any], top: str, folder: Path, *, timeout_s: float) -> Path:
    """Run :func:`plan` in ``folder``; the netlist to route."""
    build, tool = plan(netlist, top), tools.find_yosys()
    write_files(folder, {**build.files, SCRIPT: build.script, MAPPED: json.dumps(netlist)})
    tools.run_tool(
        [*tool.command, SCRIPT], cwd=folder, timeout_s=timeout_s, env=tool.environment, log=folder / "wrap.log",
        name=tool.name,
    )  # fmt: skip
    return folder / NETLIST


def measure(
    netlist: Mapping[str, Any],
    top: str,
    target: Target,
    folder: Path,
    *,
    seeds: tuple[int, ...] = SEEDS,
    timeout_s: float = SEED_SECONDS,
) -> Measurement:
    """``fmax``, routed: the median of several seeds, whose values and spread are among its details.

    A seed that fails, takes longer than ``timeout_s``, runs out of memory or says no routed clock is left out, and the
    figure says so. Raises ToolRunError, the first seed's, where not enough are left for a median; ToolMissingError
    without nextpnr-xilinx or a database of the part, TargetError for other families.
    """
    program = NEXTPNR.find("measure without it")
    database = find_database(target.part)
    version = NEXTPNR.version_of(program)
    wrapped = wrap(netlist, top, folder, timeout_s=timeout_s)
    found, failed = dict[int, float](), dict[int, ToolRunError]()
    for seed in seeds:
        arguments = ("--chipdb", str(database), "--json", wrapped.name, "--freq", f"{target.clock_mhz:g}")
        try:
            log = tools.run_tool(
                [str(program), *arguments, "--seed", str(seed), "--timing-allow-fail"],
                cwd=folder, timeout_s=timeout_s, log=folder / f"seed-{seed}.log", name="nextpnr-xilinx",
            )  # fmt: skip
            found[seed] = routed_clock(log)
        except ToolRunError as error:
            failed[seed] = error
            if len(seeds) - len(failed) < min(FEWEST_SEEDS, len(seeds)):
                first = next(iter(failed.values()))
                told = f"{first} (seed {' and '.join(map(str, failed))} of {len(seeds)})"
                raise ToolRunError(told, first.log) from None
    return Measurement({"fmax": _figure(found, failed, version, target)})


def routed_clock(log: str) -> float:
    """MHz after routing: the same line stands in the log after placement too, where it is an estimate."""
    routing = [match.end() for match in _ROUTING.finditer(log)]
    clocks = _FMAX.findall(log, routing[-1] if routing else len(log))
    if not clocks:
        said = "it says no clock after routing" if routing else "it says nothing of routing"
        raise ToolRunError(f"nextpnr-xilinx ended without an error, but {said}", log[-tools.LOG_TAIL :])
    names = {name for name, _ in clocks}
    if len(names) > 1:
        raise ToolRunError(f"nextpnr-xilinx says clocks of {len(names)} nets, where the design has one", log)
    fmax = float(clocks[-1][1])
    if fmax <= 0:
        raise ToolRunError(f"nextpnr-xilinx says a clock of {fmax:g} MHz", log[-tools.LOG_TAIL :])
    return fmax


def _figure(found: Mapping[int, float], failed: Mapping[int, ToolRunError], version: str, target: Target) -> Figure:
    median = statistics.median(found.values())
    details = {
        "seeds": {str(seed): mhz for seed, mhz in found.items()},
        "lowest": min(found.values()),
        "highest": max(found.values()),
        "spread": (max(found.values()) - min(found.values())) / median,
        "asked_mhz": target.clock_mhz,
        "ports": "in registers",
        "speed_grade": GRADE,
    }
    if failed:
        reasons = "; ".join(f"seed {seed} failed: {error}" for seed, error in failed.items())
        details["warning"] = f"the median of {len(found)} of {len(found) + len(failed)} seeds: {reasons}"
    if target.part.speed_grade != GRADE:
        details["untested"] = f"nextpnr-xilinx times speed grade {GRADE}, not {target.part.speed_grade} of the part"
    return Figure(median, "MHz", Provenance.ROUTED, "nextpnr-xilinx", version, details)
