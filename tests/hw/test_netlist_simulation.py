"""Mapped netlists simulated: cells by their truth tables, whole networks against their graph, toggles by hand."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
from networks import random_graph
from test_timing import cell

from boards.catalogue import load_target
from codesign.architecture import Hardware
from codesign.errors import MismatchError, ToolRunError
from codesign.measurement import Provenance
from hw.design import design
from hw.implement import random_vectors
from hw.measure import yosys
from hw.measure.delays import DelayModel
from hw.measure.netlist_simulation import NetlistSimulation
from hw.measure.saif import saif
from hw.measure.toggles import INFERENCES, by_class, simulate, toggles

IN = range(10, 30)


def flat(cells, inputs, outputs):
    ports = {f"i{bit}": {"direction": "input", "bits": [bit]} for bit in inputs}
    ports["y"] = {"direction": "output", "bits": list(outputs)}
    return {"ports": ports, "cells": cells}


def settled(cells, inputs, outputs, values):
    """Outputs (bits, lanes) for input bits (bits, lanes)."""
    found = NetlistSimulation(flat(cells, inputs, outputs), values.shape[1])
    for bit, row in zip(inputs, values, strict=True):
        found.give(f"i{bit}", row[None])
    found.settle()
    return found.read("y")


def all_values(bits):
    return np.array(list(itertools.product((0, 1), repeat=bits)), np.uint8).T


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_tables(size):
    bits = np.random.default_rng(size).integers(0, 2, 1 << size)
    init = "".join(map(str, bits[::-1]))
    pins = {f"I{place}": IN[place] for place in range(size)}
    values = all_values(size)
    at = (values.astype(int) << np.arange(size)[:, None]).sum(axis=0)
    cells = {"l": cell(f"LUT{size}", {"INIT": init}, **pins, O=5)}
    assert np.array_equal(settled(cells, IN[:size], [5], values)[0], bits[at])


def test_both_outputs_of_a_double_table():
    bits = np.random.default_rng(7).integers(0, 2, 64)
    pins = {f"I{place}": IN[place] for place in range(6)}
    cells = {"l": cell("LUT6_2", {"INIT": "".join(map(str, bits[::-1]))}, **pins, O6=5, O5=6)}
    values = all_values(6)
    at = (values.astype(int) << np.arange(6)[:, None]).sum(axis=0)
    found = settled(cells, IN[:6], [5, 6], values)
    assert np.array_equal(found[0], bits[at])
    assert np.array_equal(found[1], bits[at % 32])


@pytest.mark.parametrize(("kind", "bits"), [("CARRY4", 4), ("CARRY8", 8)])
def test_a_carry_cell_adds(kind, bits):
    """With S = a ^ b and DI = a it is an adder."""
    lots = np.random.default_rng(3).integers(0, 1 << bits, (2, 200))
    carry_in = np.random.default_rng(4).integers(0, 2, 200)
    places = np.arange(bits)[:, None]
    a, s = (lots[0] >> places) & 1, ((lots[0] ^ lots[1]) >> places) & 1
    values = np.concatenate([s, a, carry_in[None]]).astype(np.uint8)
    more = {"CYINIT": "0"} if kind == "CARRY4" else {"CI_TOP": "0"}
    cells = {"c": cell(kind, CI=10 + 2 * bits, **more, S=list(range(10, 10 + bits)),
                       DI=list(range(10 + bits, 10 + 2 * bits)), O=list(range(40, 40 + bits)),
                       CO=list(range(60, 60 + bits)))}  # fmt: skip
    found = settled(cells, range(10, 11 + 2 * bits), [*range(40, 40 + bits), 59 + bits], values)
    total = (found.astype(int) << np.arange(bits + 1)[:, None]).sum(axis=0)
    assert np.array_equal(total, lots[0] + lots[1] + carry_in)


def test_multiplexer_and_inverter():
    cells = {"m": cell("MUXF7", I0=10, I1=11, S=12, O=5), "n": cell("INV", I=5, O=6)}
    values = all_values(3)
    found = settled(cells, IN[:3], [5, 6], values)
    assert np.array_equal(found[0], np.where(values[2], values[1], values[0]))
    assert np.array_equal(found[1], 1 - found[0])


def test_registers_with_enable_and_reset_and_their_toggles():
    """D is inverted Q: with enable it toggles every cycle, and in reset it holds its value."""
    cells = {
        "n": cell("INV", I=5, O=6),
        "f": cell("FDRE", C=1, CE=10, R=11, D=6, Q=5),
        "s": cell("FDSE", C=1, CE=10, S=11, D=6, Q=7),
    }
    found = NetlistSimulation(flat(cells, IN[:2], [5, 7]), 1)
    seen = []
    for enable, reset in [(0, 1), (1, 0), (1, 0), (0, 0), (1, 1), (1, 0)]:
        found.give("i10", np.array([enable], np.uint8))
        found.give("i11", np.array([reset], np.uint8))
        found.settle()
        seen.append(tuple(found.read("y")[:, 0]))
        found.clock(count=True)
    assert seen == [(0, 0), (0, 1), (1, 1), (0, 0), (0, 0), (0, 1)]
    net = found.netlist.numbers
    # Q: up once, down once; the inverter is one up at the start, then follows; enable and reset by the list above
    assert [int(found.toggles[net[bit]]) for bit in (5, 6, 10, 11)] == [2, 3, 3, 4]
    assert (found.cycles, int(found.ones[net[5]]), int(found.ones[net[11]])) == (6, 1, 2)
    text = saif(found, "top", 10.0)
    assert "(DURATION 60000)" in text
    assert "(INSTANCE tb\n  (INSTANCE top\n" in text
    assert "(i11 (T0 40000) (T1 20000) (TX 0) (TC 4))" in text
    assert "(y\\[0\\] (T0 50000) (T1 10000) (TX 0) (TC 2))" in text
    assert text.count("(") == text.count(")")


def test_a_carry_counts_once_where_its_chain_crosses_cells():
    """S = 1 everywhere: the carry that begins to be 1 runs through both cells, and every sum becomes 0."""
    one = {"S": ["1"] * 4, "DI": ["0"] * 4}
    cells = {
        "a": cell("CARRY4", CI="0", CYINIT=10, **one, O=[20, 21, 22, 23], CO=[40, 41, 42, 43]),
        "b": cell("CARRY4", CI=43, CYINIT="0", **one, O=[24, 25, 26, 27], CO=[44, 45, 46, 47]),
    }
    found = NetlistSimulation(flat(cells, [10], range(20, 28)), 1)
    for carry in (0, 1):
        found.give("i10", np.array([carry], np.uint8))
        found.settle()
        found.clock(count=carry == 1)
    assert by_class(found) == {"carry": 16, "input": 1}


def test_lut_ram_reads_at_once_and_writes_at_the_edge_of_each_lane():
    pins = {f"ADDR{letter}": [10, "0", "0", "0", "0"] for letter in "ABC"}
    pins |= {f"DI{letter}": ["0", "0"] for letter in "BCD"} | {"ADDRD": [11, "0", "0", "0", "0"]}
    cells = {"r": cell("RAM32M", {"INIT_A": "x" * 64}, **pins, DIA=[12, "1"], DOA=[5, 6], O=[], WE=13, WCLK=1)}
    cells["r"]["port_directions"]["DOA"] = "output"
    found = NetlistSimulation(flat(cells, IN[:4], [5, 6]), 2)
    steps = [  # read address, write address, data, and which lanes write
        ((0, 0, 1, [1, 0]), [[0, 0], [0, 0]]),
        ((0, 1, 1, [0, 1]), [[1, 0], [1, 0]]),
        ((1, 0, 0, [1, 1]), [[0, 1], [0, 1]]),
        ((0, 0, 0, [0, 0]), [[0, 0], [1, 1]]),
    ]
    for (read, write, data, lanes), expected in steps:
        for bit, value in zip(IN[:3], (read, write, data), strict=True):
            found.give(f"i{bit}", np.array([value], np.uint8))
        found.give("i13", np.array([lanes], np.uint8))
        found.settle()
        assert found.read("y").tolist() == expected
        found.clock(count=False)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"d": cell("DSP48E1", O=5)}, r"^netlist simulation: no behaviour for cell type DSP48E1 \(d\)$"),
        ({"f": cell("FDRE", {"IS_C_INVERTED": "1"}, C=1, CE="1", R="0", D=10, Q=5)}, r"f \(FDRE\) inverts a pin"),
        ({"r": cell("RAM32M", {"INIT_A": "0101"}, O=5)}, r"no behaviour for cell type RAM32M"),
        ({"a": cell("INV", I=5, O=6), "b": cell("INV", I=6, O=5)}, r"the netlist has a combinational loop$"),
    ],
)
def test_what_is_not_known_is_refused(cells, message):
    with pytest.raises(ToolRunError, match=message):
        NetlistSimulation(flat(cells, IN[:1], [5]), 1)


@pytest.fixture(scope="module", params=[("pynq-z1", "parallel"), ("pynq-z1", "folded"), ("zcu104", "parallel")],
                ids=lambda param: "-".join(param))  # fmt: skip
def mapped(request, tmp_path_factory):
    """A small network, its design, and the netlist that Yosys makes of it."""
    board, mode = request.param
    target = load_target(board, None, 100.0)
    graph = random_graph(3, [16, 8, 4], "3")
    built = design(graph, Hardware(mode, 1 if mode == "parallel" else 8), DelayModel.for_part(target.part), 8.8)
    plan = yosys.plan(built.files, built.top, target.part)
    done = yosys.synthesize(plan, tmp_path_factory.mktemp("yosys"), timeout_s=240)
    return graph, built, done.netlist["modules"][built.top]


def test_the_mapped_netlist_computes_what_the_graph_does(mapped):
    graph, built, module = mapped
    figure = toggles(module, built, graph, random_vectors(graph, 300, 1)).figures["toggles"]
    assert (figure.unit, figure.provenance) == ("toggles", Provenance.SIMULATED)
    classes = {name: figure.details[name] for name in ("lut", "ff", "carry", "input")}
    assert all(value > 0 for value in classes.values()), classes
    others = sum(figure.details.get(name, 0.0) for name in ("mux", "ram"))
    assert figure.value == pytest.approx(sum(classes.values()) + others)
    assert figure.details["inferences"] == figure.details["inputs"] == INFERENCES
    done = simulate(module, built, graph, random_vectors(graph, 300, 1))
    assert (
        f"(clk (T0 {5000 * 32 * done.cycles}) (T1 {5000 * 32 * done.cycles}) (TX 0) (TC {64 * done.cycles}))"
        in saif(done, built.top, 10.0)
    )


def test_inputs_that_stay_toggle_less_and_one_wrong_cell_is_noticed(mapped):
    graph, built, module = mapped
    random = toggles(module, built, graph, random_vectors(graph, 300, 1)).figures["toggles"]
    still = toggles(module, built, graph, np.zeros((1, graph.input.size), np.int64)).figures["toggles"]
    assert still.value < 0.9 * random.value  # a folded layer counts and accumulates all the same
    assert still.details["inputs"] == 1
    broken = copy.deepcopy(module)
    changed = 0
    for one in broken["cells"].values():
        if one["type"] in ("LUT6_2", "LUT6", "LUT5") and changed < 40:
            one["parameters"]["INIT"] = one["parameters"]["INIT"].translate(str.maketrans("01", "10"))
            changed += 1
    with pytest.raises((MismatchError, ToolRunError), match="the mapped netlist"):
        toggles(broken, built, graph, random_vectors(graph, 300, 1))
