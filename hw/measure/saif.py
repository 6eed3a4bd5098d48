"""SAIF: how often the ports of a design change, for ``report_power`` (IEEE 1801-2018, Annex I, backward file).

Ports only: of a simulation before placement AMD advises to take no more from it, and to let the tool work out what
follows inside (UG907, "Specifying Switching Activity for Power Analysis").
"""

from __future__ import annotations

import re

from hw.measure.netlist_simulation import NetlistSimulation

FILE, BENCH = "activity.saif", "tb"
CLOCK = "clk"


def saif(done: NetlistSimulation, top: str, period_ns: float) -> str:
    """The file, of all lanes as if one had followed the other; the design is the instance ``tb/TOP``."""
    cycles = done.cycles * done.lanes
    period = round(1000 * period_ns)
    nets = []
    for name, numbers in sorted(done.netlist.ports.items()):
        for place, net in enumerate(numbers):
            bit = f"{name}\\[{place}\\]" if len(numbers) > 1 else name
            if name == CLOCK:
                high, changes = cycles * period // 2, 2 * cycles
            else:
                high, changes = int(done.ones[net]) * period, int(done.toggles[net])
            nets.append(f"      ({bit} (T0 {cycles * period - high}) (T1 {high}) (TX 0) (TC {changes}))")
    return "\n".join(
        [
            *('(SAIFILE', '(SAIFVERSION "2.0")', '(DIRECTION "backward")', "(DESIGN )", "(DIVIDER / )"),
            *("(TIMESCALE 1 ps)", f"(DURATION {cycles * period})"),
            *(f"(INSTANCE {BENCH}", f"  (INSTANCE {top}", "    (NET", *nets, "    )", "  )", ")", ")", ""),
        ]
    )  # fmt: skip


def reading(top: str) -> str:
    """The Tcl command that reads it."""
    assert re.fullmatch(r"\w+", top)
    return f"read_saif -strip_path {BENCH}/{top} {FILE}"
