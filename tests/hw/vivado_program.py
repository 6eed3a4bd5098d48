"""A program that takes the place of ``vivado`` for designs out of context: runs the script, writes reports of ours.

The environment variable STANDIN (JSON) chooses what it does: ``version``, ``say`` (text to print before ``code``, the
exit code to end with at once), ``crash`` or ``hang`` (the phase in which it does so, by signal 11 or for ever),
``signal`` (instead of 11), ``part`` and ``design`` (that its reports are of), ``reports`` (texts by file name, instead
of its own; null leaves one out).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from reports import Source
from tcl_program import TclProgram, assert_is

COMMANDS = (
    *("create_project", "read_verilog", "read_xdc", "synth_design", "opt_design", "place_design", "phys_opt_design"),
    *("route_design", "report_utilization", "report_timing_summary", "report_power"),
    "read_saif",
    *("create_clock", "get_ports", "get_clocks", "all_outputs", "set_max_delay"),
)
STATES = ("read", "Synthesized", "optimized", "placed", "reoptimized", "Routed")


@dataclass
class OutOfContext(TclProgram):
    """One run; ``behaviour`` as above."""

    behaviour: dict = field(default_factory=dict)
    modules: set = field(default_factory=set)
    state: str = ""
    clock: float = 0.0
    bounded: set = field(default_factory=set)
    top: str = ""
    activity: str = "---"
    COMMANDS = COMMANDS

    def _create_project(self, memory, option, part):
        assert_is((memory, option, part), ("-in_memory", "-part", self.part))
        self.state = "read"

    def _read_verilog(self, *arguments):
        path = arguments[-1]
        assert_is(arguments[:-1], ("-sv",) if path.endswith(".sv") else ())
        self.modules |= set(re.findall(r"^module (\w+)", Path(path).read_text(), re.MULTILINE))

    def _read_xdc(self, option, mode, path):
        assert_is((option, mode), ("-mode", "out_of_context"))
        self.evaluate(Path(path).read_text())

    def _create_clock(self, *arguments):
        assert_is((*arguments[:3], arguments[4]), ("-name", "clk", "-period", "ports:clk"))
        self.clock = float(arguments[3])

    def _get_ports(self, *arguments):
        return "ports:clk" if arguments == ("clk",) else f"inputs:{arguments[1]}"

    def _get_clocks(self, name):
        return f"clocks:{name}"

    def _all_outputs(self):
        return "outputs"

    def _set_max_delay(self, *arguments):
        assert_is(arguments[:2], ("-datapath_only", "-from"))
        assert_is(float(arguments[-1]), self.clock)
        self.bounded.add(arguments[2:-1])

    def _synth_design(self, *arguments):
        self.top = arguments[1]
        assert_is(arguments, ("-top", self.top, "-part", self.part, "-mode", "out_of_context"))
        assert_is(self.top in self.modules, True)
        between = {("inputs:DIRECTION == IN && NAME != clk",), ("clocks:clk", "-to", "outputs")}
        assert_is((self.clock > 0, self.bounded), (True, between))
        self._step("Synthesized")

    def _opt_design(self):
        self._step("optimized")

    def _place_design(self):
        self._step("placed")

    def _phys_opt_design(self):
        self._step("reoptimized")

    def _route_design(self):
        self._step("Routed")

    def _step(self, state):
        assert_is(STATES.index(state), STATES.index(self.state) + 1)
        self.state = state

    def _report(self, name, text, arguments):
        assert_is(arguments, ("-file", name))
        assert_is(self.state in ("Synthesized", "Routed"), True)
        text = self.behaviour.get("reports", {}).get(name, text)
        if text is not None:
            Path(name).write_text(text)

    @property
    def source(self):
        part, top = self.behaviour.get("part", self.part), self.behaviour.get("design", self.top)
        return Source(part, top, self.release, self.state)

    def _report_utilization(self, *arguments):
        self._report("utilization.rpt", self.source.utilization(), arguments)

    def _report_timing_summary(self, *arguments):
        self._report("timing.rpt", self.source.timing(period=self.clock), arguments)

    def _report_power(self, *arguments):
        matched = "NA" if self.activity == "---" else self.behaviour.get("matched", "52%   (31/60)")
        self._report("power.rpt", self.source.power(activity=self.activity, matched=matched), arguments)

    def _read_saif(self, option, path, name):
        assert_is((option, path), ("-strip_path", f"tb/{self.top}"))
        assert_is(self.state in ("Synthesized", "Routed"), True)
        text = Path(name).read_text()
        assert_is((text.count("("), text.startswith("(SAIFILE")), (text.count(")"), True))
        assert_is(f"(INSTANCE tb\n  (INSTANCE {self.top}\n" in text, True)
        self.activity = name


def main(arguments):
    """As ``vivado -version``, or ``vivado -mode batch -notrace -nojournal -log LOG -source SCRIPT``; the exit code."""
    behaviour = json.loads(os.environ.get("STANDIN", "{}"))
    version = behaviour.get("version", "2024.1")
    if arguments == ["-version"]:
        sys.stdout.write(f"vivado v{version} (64-bit)\nTool Version Limit: 2024.05\n")
        return 0
    assert arguments[:5] == ["-mode", "batch", "-notrace", "-nojournal", "-log"], arguments
    log, option, source = arguments[5:]
    assert option == "-source"
    script = Path(source).read_text()
    with Path(log).open("w") as file:

        def say(text):
            for out in (file, sys.stdout):
                print(text, file=out, flush=True)
            phase = text.removeprefix("codesign: phase ")
            if phase == behaviour.get("crash"):
                os.kill(os.getpid(), behaviour.get("signal", signal.SIGSEGV))
            if phase == behaviour.get("hang"):
                time.sleep(3600)

        if "say" in behaviour:
            say(behaviour["say"])
            return behaviour["code"]
        if source == "vivado_synth.tcl":  # hls4ml's own, of which no Tcl is run
            name, part = re.findall(r'set (?:project_name|part) "?([^"\n]+)', Path("project.tcl").read_text())
            of = Source(behaviour.get("part", part), behaviour.get("design", name), version)
            Path("vivado_synth.rpt").write_text(behaviour.get("reports", {}).get("vivado_synth.rpt", of.utilization()))
            return 0
        part = re.search(r"create_project -in_memory -part (\S+)", script).group(1)
        run = OutOfContext(Path.cwd(), part, version, say=say, behaviour=behaviour)
        code = run.run(script)
        if code:
            say(run.output[-1])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
