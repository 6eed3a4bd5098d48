"""How often nets change in one inference, on real inputs: what dynamic energy is proportional to, and no energy itself.

Counted in the mapped netlist (:mod:`hw.measure.netlist_simulation`), in an unbroken stream, by the class of cell that
drives a net. No joule is made of it: no capacitance per toggle of these cells is published that could be cited, and
nets are not placed. The clock network is left out, and glitches, which a simulation without delays has not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from codesign.measurement import Figure, Measurement, Provenance
from hw.design import Design
from hw.graph import Graph, Ints
from hw.measure.netlist_cells import Netlist
from hw.measure.netlist_simulation import NetlistSimulation, stream

LANES, VECTORS = 32, 8
INFERENCES = LANES * VECTORS
"""Inputs that are streamed: so many streams side by side of so many vectors each."""
TOOL, VERSION = "codesign netlist simulation", "2"
_NOT_DATA = ("clk", "rst_n")


def toggles(module: Mapping[str, Any], design: Design, graph: Graph, x: Ints) -> Measurement:
    """Figure ``toggles`` (per inference) of the flat mapped ``module``, on input integers ``x`` (n, inputs).

    The first :data:`INFERENCES` of ``x``, from its beginning again where there are fewer; ``details`` has the shares of
    the classes ``lut, carry, mux, ff, ram, input``. The netlist is held against the graph on the way: MismatchError at
    the first differing bit. ToolRunError for a cell without a behaviour here.
    """
    classes = by_class(simulate(module, design, graph, x))
    per_inference = {name: count / INFERENCES for name, count in classes.items()}
    details = {
        **per_inference,
        "inferences": INFERENCES,
        "inputs": min(len(x), INFERENCES),
        "left_out": "clock network, glitches",
    }
    value = sum(per_inference.values())
    return Measurement({"toggles": Figure(value, "toggles", Provenance.SIMULATED, TOOL, VERSION, details)})


def simulate(module: Mapping[str, Any], design: Design, graph: Graph, x: Ints) -> NetlistSimulation:
    """The simulation whose counts these are."""
    given = np.resize(x, (INFERENCES, x.shape[1]))
    expected = graph.run(given)
    return stream(module, design, given.reshape(LANES, VECTORS, -1), expected.reshape(LANES, VECTORS, -1))


def by_class(done: NetlistSimulation) -> dict[str, int]:
    """How often the nets of each class changed, over all lanes."""
    found: Counter[str] = Counter()
    for net, kind in _classes(done.netlist).items():
        found[kind] += int(done.toggles[net])
    return dict(sorted(found.items()))


def _classes(netlist: Netlist) -> dict[int, str]:
    """The class of the cell that drives each net of the netlist; nets of inputs have none.

    What a carry cell's tables hand on inside the cell is no net: where a chain crosses cells it would count twice.
    """
    driven = {register.output: "ff" for register in netlist.registers}
    driven |= {table.output: table.kind for table in netlist.tables}
    driven |= {net: "ram" for memory in netlist.memories for _, _, out in memory.ports for net in out}
    given = {net for name, nets in netlist.ports.items() if name not in _NOT_DATA for net in nets}
    real = set(netlist.numbers.values())
    return {net: kind for net, kind in driven.items() if net in real} | dict.fromkeys(given - driven.keys(), "input")
