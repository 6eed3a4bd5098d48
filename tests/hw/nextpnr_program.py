"""A program that takes the place of ``nextpnr-xilinx``: as one that was tried, it says clocks in its log only.

It reads the netlist as that one does: a single top module, no scopes, no ``LUT6_2``, pins for its ports. The
environment variable STANDIN (JSON) chooses what it does: ``clocks`` (MHz by seed), ``say`` and ``code`` (what it says
instead, and ends with; with the seeds ``failing``, or all), ``hang``, ``signal``, ``unrouted`` (it ends after
placement), ``quiet`` (no clock at all).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

PINS = 125
KNOWN = ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "FDRE", "FDSE", "CARRY4", "INV", "RAM32M", "MUXF7", "MUXF8")


def say(text, out=sys.stdout):
    out.write(text + "\n")


def refusal(netlist):
    """Why the netlist cannot be placed; empty where it can."""
    tops = [module for module in netlist["modules"].values() if module["attributes"].get("top")]
    if len(tops) != 1:
        return "Failed to find top-level module"
    pins = sum(len(port["bits"]) for port in tops[0]["ports"].values())
    if pins > PINS:
        return f"IO placer ran out of available IOs ({PINS} available IO, {pins} unconstrained pins)"
    strange = sorted({cell["type"] for cell in tops[0]["cells"].values()} - set(KNOWN))
    return f"Unable to place cell of type '{strange[0]}'" if strange else ""


def main(arguments):
    """As ``nextpnr-xilinx --version``, or with the options that the instrument gives; the exit code."""
    if arguments == ["--version"]:
        say('"nextpnr-xilinx" -- Next Generation Place and Route (Version 0.8.2-39-gc5a8b2f)', sys.stderr)
        return 0
    behaviour = json.loads(os.environ.get("STANDIN", "{}"))
    names = ("--chipdb", "--json", "--freq", "--seed")
    assert tuple(arguments[:8:2]) == names, arguments
    assert arguments[8:] == ["--timing-allow-fail"], arguments
    database, netlist, asked, seed = arguments[1:8:2]
    if "say" in behaviour and seed in behaviour.get("failing", [seed]):
        say(behaviour["say"])
        return behaviour["code"]
    if "signal" in behaviour:
        os.kill(os.getpid(), behaviour["signal"])
    if behaviour.get("hang"):
        time.sleep(3600)
    if not Path(database).read_bytes():
        say("ERROR: Unable to read chipdb")
        return 255
    reason = refusal(json.loads(Path(netlist).read_text()))
    if reason:
        say(f"ERROR: {reason}")
        return 255
    return route(behaviour, behaviour.get("clocks", {}).get(seed, 100.0), asked)


def route(behaviour, clock, asked):
    said = f"Info: Max frequency for clock 'clk$iob': {clock * 1.1:.2f} MHz (PASS at {float(asked):.2f} MHz)\n"
    say("Info: Packing constants..\nInfo: Annotating ports with timing budgets for target frequency")
    say(f"Info: HeAP Placer Time: 0.30s\n{said}")
    if behaviour.get("unrouted"):
        return 0
    say("Info: Running router2...\nInfo:     running main router loop...\nInfo: Routing complete.")
    passed = "PASS" if clock > float(asked) else "FAIL"
    kind = "Info" if passed == "PASS" else "Warning"
    if not behaviour.get("quiet"):
        say(f"{kind}: Max frequency for clock 'clk$iob': {clock:.2f} MHz ({passed} at {float(asked):.2f} MHz)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
