"""Synthesis layer by layer: the joined netlist is the network, its figures are those of flat synthesis."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest
from fuzz import DELAYS
from networks import random_graph, random_inputs

from codesign.architecture import Hardware
from codesign.errors import ToolError, ToolRunError
from codesign.target import Part
from hw.design import Design, design
from hw.emit.folded import Folding
from hw.graph import Graph
from hw.measure import layerwise, tools, yosys
from hw.measure.cache import Cache
from hw.measure.timing import analyse
from hw.measure.verilator import simulate

ZYNQ = Part("xc7z020clg400-1", "xc7", "-1", {})
ULTRASCALE = Part("xczu7ev-ffvc1156-2-e", "xcup", "-2", {})
TIMEOUT_S = 280.0
PERIOD_NS = 10.0
MIXED = {0: Folding(2, 4)}


def network(mode: str, widths: list[int], seed: int = 1) -> tuple[Graph, Design]:
    graph = random_graph(seed, widths, "2")
    hardware = Hardware("folded", 16) if mode == "folded" else Hardware("parallel")
    return graph, design(graph, hardware, DELAYS, 6.0, MIXED if mode == "mixed" else None)


def joined(built: Design, folder: Path, *, cache: Cache | None = None, jobs: int = 1) -> yosys.Synthesis:
    plan = layerwise.layered(built.files, built.top, ZYNQ, PERIOD_NS)
    return layerwise.synthesize(plan, folder, timeout_s=TIMEOUT_S, cache=cache, jobs=jobs)


def as_verilog(netlist: Path, top: str, folder: Path) -> str:
    """The netlist with the behaviour of its cells, from Yosys' own models of them."""
    folder.mkdir()
    (folder / "netlist.json").write_text(yosys.json.dumps(yosys.load(netlist)))
    script = "\n".join([
        "read_verilog +/xilinx/cells_sim.v",
        "read_json netlist.json",
        f"hierarchy -top {top}",
        "proc",
        "flatten",
        "opt_clean",
        "write_verilog -noattr netlist.v",
    ])  # fmt: skip
    (folder / "script.ys").write_text(script + "\n")
    yosys_tool = tools.find_yosys()
    tools.run_tool([*yosys_tool.command, "script.ys"], cwd=folder, timeout_s=TIMEOUT_S, log=folder / "log")
    return (folder / "netlist.v").read_text()


@pytest.mark.parametrize("mode", ["parallel", "folded", "mixed"])
def test_the_joined_netlist_computes_the_network(mode: str, tmp_path: Path) -> None:
    """Bits and cycles of the mapped cells, simulated against the Graph."""
    graph, built = network(mode, [8, 10, 6, 3])
    done = joined(built, tmp_path / "work")
    text = as_verilog(tmp_path / "work" / yosys.ARTEFACT, built.top, tmp_path / "netlist")
    x = random_inputs(graph, 24)
    mapped = dataclasses.replace(built, files={f"{built.top}.v": text})
    simulate(mapped, x, graph.run(x), tmp_path / "sim", timeout_s=TIMEOUT_S)
    details = done.figures.figures["ff"].details
    assert details["synthesis"] == "3 layers and the top level, each mapped alone, then joined"
    assert list(done.netlist["modules"]) == [built.top]


@pytest.mark.parametrize("part", [ZYNQ, ULTRASCALE], ids=lambda part: part.family)
def test_weights_in_block_ram_are_joined(part: Part, tmp_path: Path) -> None:
    built = design(random_graph(1, [80, 256, 3], "2"), Hardware("folded", 1024), DELAYS, 6.0)
    done = layerwise.synthesize(
        layerwise.layered(built.files, built.top, part, PERIOD_NS), tmp_path, timeout_s=TIMEOUT_S
    )
    assert done.figures.value("bram") > 0
    assert analyse(done.netlist, built.top, part).fmax_mhz > 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["parallel", "folded", "mixed"])
@pytest.mark.parametrize("widths", [[16, 32, 16, 5], [32, 24, 24, 24, 10]], ids=str)
def test_as_flat(mode: str, widths: list[int], tmp_path: Path) -> None:
    _, built = network(mode, widths)
    flat = yosys.synthesize(yosys.plan(built.files, built.top, ZYNQ), tmp_path / "flat", timeout_s=TIMEOUT_S)
    parts = joined(built, tmp_path / "parts")
    assert parts.figures.value("ff") == pytest.approx(flat.figures.value("ff"), rel=0.01)
    assert parts.figures.value("lut") == pytest.approx(flat.figures.value("lut"), rel=0.03)
    # of the joined netlist's own paths: mapping alone moves it by a tenth
    fmax, whole = (analyse(done.netlist, built.top, ZYNQ).fmax_mhz for done in (parts, flat))
    assert fmax > 0.85 * whole


def test_small_networks_are_synthesized_whole() -> None:
    _, built = network("folded", [8, 10, 3])
    assert layerwise.plan(built.files, built.top, ZYNQ, PERIOD_NS) == yosys.plan(built.files, built.top, ZYNQ)


def test_large_ones_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    _, built = network("folded", [8, 10, 3])
    monkeypatch.setattr(layerwise, "LEAST_TEXT", 1000)
    assert layerwise.plan(built.files, built.top, ZYNQ, PERIOD_NS) == layerwise.layered(
        built.files, built.top, ZYNQ, PERIOD_NS
    )
    _, single = network("folded", [8, 3])
    assert layerwise.plan(single.files, single.top, ZYNQ, PERIOD_NS) == yosys.plan(single.files, single.top, ZYNQ)


def test_only_what_changed_is_synthesized_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another last layer: that layer is mapped, then joined; the top level and the others are taken from the cache."""
    ran: list[str] = []
    run = yosys._run

    def watched(build: yosys.BuildPlan, workdir: Path, timeout_s: float) -> dict[str, object]:
        ran.append(build.top)
        return run(build, workdir, timeout_s)

    monkeypatch.setattr(yosys, "_run", watched)
    graph, built = network("folded", [6, 5, 4, 3])
    *same, last = graph.nodes
    flipped = dataclasses.replace(last, tensors={**last.tensors, "trits": -last.tensors["trits"]})
    other = design(Graph((*same, flipped)), Hardware("folded", 16), DELAYS, 6.0)
    cache = Cache(tmp_path / "cache")
    first = joined(built, tmp_path / "first", cache=cache, jobs=2)
    assert sorted(ran) == ["cdg_network", "cdg_network", *["cdg_part"] * 3]
    ran.clear()
    changed = joined(other, tmp_path / "second", cache=cache)
    assert ran == ["cdg_part", "cdg_network"]
    assert changed.figures.figures["lut"].details["cached"] == f"3 of 4: {yosys.CACHED}"
    ran.clear()
    again = joined(built, tmp_path / "third", cache=cache)
    assert ran == []
    assert again.netlist == first.netlist


def test_a_layer_is_the_same_wherever_it_stands(tmp_path: Path) -> None:
    """Equal layers in one network, under other names and at other places, are one plan, run once and placed twice."""
    graph = random_graph(1, [6, 6, 6, 3], "2", input_bits=2)
    nodes = tuple(
        dataclasses.replace(node, tensors={**graph.nodes[index - 3].tensors}) if 4 <= index < 7 else node
        for index, node in enumerate(graph.nodes)
    )
    built = design(Graph(nodes), Hardware("folded", 16), DELAYS, 6.0)
    digests = [build.digest() for build in layerwise.layered(built.files, built.top, ZYNQ, PERIOD_NS).parts.values()]
    assert digests[0] == digests[1] != digests[2]
    netlist = joined(built, tmp_path / "work").netlist["modules"][built.top]
    assert sum(path.is_dir() for path in (tmp_path / "work").iterdir()) == 3
    placed = [sum(name.startswith(f"layer_{index}.") for name in netlist["cells"]) for index in range(3)]
    assert placed[0] == placed[1] > 0 < placed[2] != placed[0]


def test_one_failure_stops_the_others(tmp_path: Path) -> None:
    begun, ended = threading.Event(), list[Exception]()

    def work(item: str) -> None:
        if item == "fails":
            assert begun.wait(60)
            raise ToolRunError("it failed")
        begun.set()
        try:
            tools.run_tool(["sleep", "1000"], cwd=tmp_path, timeout_s=1000, log=tmp_path / "log")
        except ToolError as error:
            ended.append(error)
            raise

    with pytest.raises(ToolRunError, match=r"^it failed$"):
        layerwise.in_parallel(work, ["sleeps", "fails"], 2)
    assert [str(error) for error in ended] == ["sleep was stopped; run the same command again"]
    assert layerwise.in_parallel(str, range(5), 3) == ["0", "1", "2", "3", "4"]
