"""A stand-in for Vivado's Tcl: knows the commands that a build may use, in the order it may use them, and no others.

Scripts run in a real Tcl interpreter. What it cannot show: that Vivado itself takes the script.
"""

from __future__ import annotations

import tkinter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tcl_program import Refused, TclProgram, assert_is, named
from vivado_diagram import Diagram, ip_kind, module_name, referenced

TIMING = """Copyright
| Design Timing Summary

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  \
THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  \
-------------------     --------     --------  ----------------------  --------------------
      0.731        0.000                      0                 9876        0.021        0.000                      0  \
               9876        3.750        0.000                       0                  5432
"""
UTILIZATION = """1. Slice Logic
| Slice LUTs                 | 4321 |     0 |     53200 |  8.12 |
|   LUT as Logic             | 4000 |     0 |     53200 |  7.52 |
| Slice Registers            | 5432 |     0 |    106400 |  5.11 |
| Block RAM Tile |  2.5 |     0 |       140 |  1.79 |
| DSPs      |    0 |     0 |       220 |  0.00 |
"""
ACCELERATOR = UTILIZATION.replace("4321", "1234").replace("5432", "2345").replace(" 2.5", "   0")
POWER = """
| Total On-Chip Power (W)  | 1.665        |
| Dynamic (W)              | 1.529        |
| Device Static (W)        | 0.136        |
| Confidence Level         | Medium       |
"""
REPORTS = {"timing": TIMING, "utilization": UTILIZATION, "accelerator": ACCELERATOR, "power": POWER}
_FLOW = ("synthesized", "optimized", "placed", "reoptimized", "routed", "measured", "written")
_COMMANDS = (
    *("version", "create_project", "current_project", "set_property", "get_property", "read_verilog"),
    *("update_compile_order", "create_bd_design", "create_bd_cell", "create_bd_intf_port", "get_bd_cells"),
    *("get_bd_pins", "get_bd_intf_pins", "get_bd_intf_ports", "get_bd_addr_spaces", "get_bd_addr_segs", "get_files"),
    *("connect_bd_net", "connect_bd_intf_net", "assign_bd_address", "validate_bd_design", "save_bd_design"),
    *("generate_target", "make_wrapper", "synth_design", "opt_design", "place_design", "phys_opt_design"),
    *("route_design", "report_timing_summary", "report_utilization", "report_power", "get_cells", "write_bitstream"),
)


@dataclass
class Vivado(TclProgram):
    """One run. ``reports`` are texts to write for timing, utilization, accelerator and power."""

    reports: Mapping[str, str] = field(default_factory=lambda: REPORTS)
    diagram: Diagram = field(default_factory=Diagram)
    modules: dict[str, str] = field(default_factory=dict)
    project: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    design: str = ""
    COMMANDS = _COMMANDS

    def _version(self, short):
        assert_is(short, "-short")
        return self.release

    def _create_project(self, memory, option, part):
        assert_is((memory, option, part), ("-in_memory", "-part", self.part))
        self.project["part"] = part

    def _current_project(self):
        self._needs("part" in self.project, "a project")
        return "project"

    def _set_property(self, *arguments):
        if arguments[0] == "-dict":
            pairs = tkinter.Tcl().splitlist(arguments[1])
            pairs, target = list(zip(pairs[::2], pairs[1::2], strict=True)), arguments[2]
        else:
            pairs, target = [arguments[:2]], arguments[2]
        for name, value in pairs:
            self._set(target, name, value)

    def _set(self, target, name, value):
        if target == "project":
            legal = {("target_language", "Verilog"), ("source_mgmt_mode", "All")}
        elif target == f"file:{self.design}.bd":
            legal = {("synth_checkpoint_mode", "None")}
        else:
            kind, _, cell = target.partition(":")
            assert_is(kind, "cell")
            self.diagram.set(cell, name.removeprefix("CONFIG."), value)
            return
        if (name, value) not in legal:
            raise Refused(f"{name} of {target} may not be {value!r}")
        self.project[name] = value

    def _get_property(self, name, target):
        kind, _, cell = target.partition(":")
        assert_is(kind, "cell")
        return self.diagram.cells[cell].values[name.removeprefix("CONFIG.")]

    def _read_verilog(self, *arguments):
        self._current_project()
        for path in arguments[arguments[0] == "-sv" :]:
            system = "-sv" in arguments
            self._needs(system == path.endswith(".sv"), f"the language of {path}")
            text = Path(path).read_text(encoding="utf-8")
            self.modules[module_name(text)] = text

    def _update_compile_order(self, option, fileset):
        assert_is((option, fileset), ("-fileset", "sources_1"))

    def _create_bd_design(self, name):
        self._current_project()
        self._needs(self.project.get("target_language") == "Verilog", "Verilog")
        self.design = name

    def _create_bd_cell(self, option, kind, source, what, name):
        self._needs(self.design, "a block design")
        if (option, kind, source) == ("-type", "ip", "-vlnv"):
            self.diagram.add(name, what, ip_kind(what))
            return
        assert_is((option, kind, source), ("-type", "module", "-reference"))
        # in a project in memory, which does not look for modules by itself
        if self.project.get("source_mgmt_mode") != "All" or what not in self.modules:
            raise Refused(f"Failed to resolve reference. Nothing was found in the project to match the name {what}")
        self.diagram.add(name, f"xilinx.com:module_ref:{what}:1.0", referenced(what, self.modules[what]))

    def _create_bd_intf_port(self, option, mode, what, vlnv, name):
        assert_is((option, mode, what), ("-mode", "Master", "-vlnv"))
        known = {
            "xilinx.com:interface:ddrx_rtl:1.0": "ddrx",
            "xilinx.com:display_processing_system7:fixedio_rtl:1.0": "fixedio",
        }
        self.diagram.ports[name] = known[vlnv]

    def _get_bd_cells(self, name):
        return f"cell:{self.diagram.cells[name].name}"

    def _get_bd_pins(self, path):
        self.diagram.pin(path)
        return f"pin:{path}"

    def _get_bd_intf_pins(self, path):
        self.diagram.interface(path)
        return f"interface:{path}"

    def _get_bd_intf_ports(self, name):
        assert_is(name in self.diagram.ports, True)
        return f"interface:{name}"

    def _get_bd_addr_spaces(self, path):
        return f"space:{path}"

    def _get_bd_addr_segs(self, pattern):
        known = self.diagram.segments()
        found = [s for s in known if s == pattern or (pattern.endswith("/*") and s.startswith(pattern[:-1]))]
        if len(found) != 1:
            raise Refused(f"there is no segment {pattern}")
        return f"segment:{found[0]}"

    def _connect_bd_net(self, one, other):
        self.diagram.connect(named("pin", one), named("pin", other))

    def _connect_bd_intf_net(self, one, other):
        self.diagram.link(named("interface", one), named("interface", other))

    def _assign_bd_address(self, *arguments):
        offset, size, space = arguments[1], arguments[3], arguments[5]
        assert_is(arguments[::2][:3], ("-offset", "-range", "-target_address_space"))
        assert_is(arguments[7:], ("-force",))
        segment = named("segment", arguments[6])
        self.diagram.assign(named("space", space), segment, int(offset, 16), int(size, 16))

    def _validate_bd_design(self):
        self._needs(self.design, "a block design")
        self.diagram.validate()
        self.done.append("validated")

    def _save_bd_design(self):
        self._needs("validated" in self.done, "a validated block design")
        self.done.append("saved")

    def _get_files(self, name):
        assert_is(name, f"{self.design}.bd")
        return f"file:{name}"

    def _generate_target(self, what, target):
        assert_is((what, target), ("all", f"file:{self.design}.bd"))
        self._needs("saved" in self.done, "a saved block design")
        self._needs(self.project.get("synth_checkpoint_mode") == "None", "global synthesis")
        root = ".srcs" if self.release.startswith("2020.1") else ".gen"
        folder = Path(root, "sources_1", "bd", self.design)
        (folder / "hw_handoff").mkdir(parents=True)
        (folder / "hw_handoff" / f"{self.design}.hwh").write_text(f"<EDKSYSTEM design='{self.design}'/>\n")
        (folder / "ip" / "memory").mkdir(parents=True)  # SmartConnect has a block design of its own
        (folder / "ip" / "memory" / "bd_1234.hwh").write_text("not this one\n")
        self.done.append("generated")

    def _make_wrapper(self, option, target, top):
        assert_is((option, target, top), ("-files", f"file:{self.design}.bd", "-top"))
        self._needs("generated" in self.done, "generated targets")
        path = Path(f"{self.design}_wrapper.v")
        path.write_text(f"module {self.design}_wrapper;\nendmodule\n")
        return str(path)

    def _synth_design(self, *arguments):
        assert_is(arguments, ("-top", f"{self.design}_wrapper", "-part", self.part))
        self._needs(f"{self.design}_wrapper" in self.modules, "the wrapper")
        self._step("synthesized")

    def _opt_design(self):
        self._step("optimized")

    def _place_design(self):
        self._step("placed")

    def _phys_opt_design(self):
        self._step("reoptimized")

    def _route_design(self):
        self._step("routed")

    def _report_timing_summary(self, option, path):
        self._report("timing", option, path)
        self._step("measured")

    def _report_utilization(self, *arguments):
        if arguments[0] == "-cells":
            assert_is(arguments[1], f"cells:{self.design}_i/accelerator")
            self._report("accelerator", *arguments[2:])
        else:
            self._report("utilization", *arguments)

    def _report_power(self, option, path):
        self._report("power", option, path)

    def _get_cells(self, quiet, name):
        assert_is((quiet, name), ("-quiet", f"{self.design}_i/accelerator"))
        return f"cells:{name}" if "accelerator" in self.reports else ""

    def _report(self, name, option, path):
        assert_is(option, "-file")
        self._needs("routed" in self.done, "a routed design")
        Path(path).write_text(self.reports[name])

    def _write_bitstream(self, option, path):
        assert_is(option, "-force")
        self._step("written")
        Path(path).write_bytes(b"stand-in bitstream of " + ";".join(sorted(self.modules)).encode())

    def _step(self, name):
        """Each step follows the one before it."""
        before = _FLOW.index(name) - 1
        self._needs(before < 0 or self.done[-1] == _FLOW[before], f"what comes before {name}")
        self.done.append(name)
