"""``codesign measure --via c``: the C model timed here and on a board, and TensorFlow Lite beside it."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import nullcontext

import pytest
from networks import random_graph, random_inputs
from user_models import saved, small

from codesign import processors
from codesign.cli import main
from codesign.errors import MismatchError
from codesign.instruments import Reading
from codesign.latencies import latencies
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import Part, Target
from hw.cmodel import project as c_project
from hw.cmodel.project import project
from hw.measure import cpu

HOST = "xilinx@pynq"


def test_the_model_is_timed_on_this_processor_and_a_board(tmp_path, capsys, fresh_board):
    path, out = saved(small(), tmp_path / "mine.h5"), tmp_path / "out"
    assert main(["measure", str(path), "--via", "rtl,c", "--host", HOST, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert [(one["instrument"], one["status"]) for one in report["instruments"]] == [
        ("c", "ok"), ("c on the board", "ok"), ("tflite", "ok"),
    ]  # fmt: skip
    c, there, tflite = report["instruments"]
    assert list(there["figures"]) == ["c_board"]
    assert list(c["figures"]) == ["c_o2", "c_o3", "c_native"]
    for figure in (*c["figures"].values(), *there["figures"].values(), *tflite["figures"].values()):
        assert (figure["provenance"], figure["unit"]) == ("timed", "us")
        assert figure["value"] > 0
        assert figure["details"]["machine"]
    assert c["figures"]["c_o3"]["details"]["flags"] == "-O3"
    assert tflite["figures"]["tflite"]["details"]["differing_vectors"] == 0
    fpga, *others = report["latencies"]
    cycles, clock = report["figures"]["latency_cycles"]["value"], min(100, report["figures"]["fmax"]["value"])
    assert fpga["us"] == pytest.approx(cycles / clock)
    assert [line["times_fpga"] for line in others] == pytest.approx([line["us"] / fpga["us"] for line in others])
    assert [line["on"] for line in others] == [
        *("C model -O2", "C model -O3", "C model -O3 -march=native", f"C model -O3 on {HOST}", "TensorFlow Lite"),
    ]  # fmt: skip
    assert "energy: - where it was not measured" in text
    assert (out / "instruments" / "c" / "mine.h").is_file()


def timed_there(graph):
    return processors.on_board(HOST, "net", graph, random_inputs(graph, 40), lambda _: nullcontext())


def test_a_model_that_its_board_computes_otherwise(fresh_board):
    graph = random_graph(0, [8, 4, 2], "ternary")
    gcc = shutil.which("gcc")
    fresh_board.program("bin/gcc", f"#!/bin/sh\nsed -i 's/y.o. = /y[o] = 1 + /' net.h; exec {gcc} \"$@\"")
    reading = timed_there(graph)
    assert (reading.instrument, reading.status, reading.figures.figures) == ("c on the board", "failed", {})
    assert (reading.host, reading.to_json()["host"]) == (HOST, HOST)
    assert re.match(
        r"the C model on xilinx@pynq differs from the graph: vector 0, output 0: -?\d+, expected -?\d+$", reading.reason
    )


@pytest.mark.parametrize(
    "printed",
    ["no line of JSON", '{"ns": 3}', '{"graph": "0", "ns": 1, "lowest_ns": 1, "highest_ns": 1, "repeats": 1, '
     '"vectors": 1, "compiler": "gcc", "flags": "-O3", "machine": "a CPU"}'],
)  # fmt: skip
def test_a_board_that_prints_something_else(fresh_board, printed):
    graph = random_graph(0, [8, 4, 2], "ternary")
    fresh_board.program("bin/make", f"#!/bin/sh\necho '{printed}'")
    reading = timed_there(graph)
    said = f"make on xilinx@pynq printed no times of this C model, {graph.digest()[:8]}, but {printed}; log in there"
    assert reading.status == "failed"
    assert reading.reason.startswith(said)


@pytest.mark.parametrize(
    ("via", "host", "message"),
    [
        ("rtl", HOST, f"--host {HOST} is where the C model is timed, too: add c to --via"),
        ("c", "virtual:pynq-z1", "--host virtual:pynq-z1: a virtual board has no processor to time; give user@board"),
        ("c", "a b", "'a b' is no host for ssh; give it as board or user@board"),
    ],
)
def test_where_no_c_model_can_be_timed(capsys, via, host, message):
    assert main(["measure", "none.h5", "--via", via, "--host", host]) == 2
    assert capsys.readouterr().err.startswith(f"codesign: error: {message}")


def test_a_c_model_that_differs_is_no_figure(tmp_path, monkeypatch):
    graph = random_graph(0, [8, 4, 2], "ternary")

    def broken(*given):
        files = project(*given)
        return files | {"net.h": files["net.h"].replace("v >= 0", "v > 0").replace("y[o] = ", "y[o] = 1 + ")}

    monkeypatch.setattr(c_project, "project", broken)
    with pytest.raises(MismatchError, match=r"the C model differs from the graph: vector 0, output 0: .*, expected "):
        cpu.measure(graph, "net", random_inputs(graph, 40), tmp_path, "a test")


def test_a_slower_clock_than_asked_for_counts():
    figures = {
        "latency_cycles": Figure(10, "cycles", Provenance.SIMULATED, "verilator", "5"),
        "fmax": Figure(50, "MHz", Provenance.MODELLED, "model", "1"),
    }
    target = Target(Part("xc7z020clg400-1", "xc7", "-1", {}), 100.0)
    timed = Figure(3, "us", Provenance.TIMED, "C model", "gcc 12", {"machine": "a CPU", "flags": "-O2"})
    fpga, c = latencies(Measurement(figures), target, [Reading("c", "ok", Measurement({"c_o2": timed}), 1.0)])
    assert (fpga["us"], c["times_fpga"]) == (0.2, pytest.approx(15))
    assert "simulated cycles at 50 MHz" in fpga["source"]
    assert c["source"] == "timed on a CPU (gcc 12)"


def test_boards_that_ran_it_stand_beside_with_their_energy():
    def measured(us, **power):
        figures = {"board_latency_us": Figure(us, "us", Provenance.ON_BOARD, "agent", "1")}
        return Measurement({**figures, **power})

    cycles = Figure(10, "cycles", Provenance.SIMULATED, "verilator", "5")
    design = Measurement({"latency_cycles": cycles, "fmax": Figure(200, "MHz", Provenance.MODELLED, "model", "1")})
    details = {"measures": "rail 5V", "uj_per_inference": 7.5}
    watts = Figure(2.0, "W", Provenance.ON_BOARD, "agent", "1", details)
    boards = [("me@board", measured(0.3, board_power_w=watts)), ("other", measured(0.4))]
    target = Target(Part("xc7z020clg400-1", "xc7", "-1", {}), 100.0)
    timed = Figure(3, "us", Provenance.TIMED, "C model", "gcc 12", {"machine": "a CPU", "flags": "-O2"})
    reading = Reading("c", "ok", Measurement({"c_o2": timed}), 1.0)
    found = latencies(design, target, [reading], boards)
    assert [(line["on"], line["us"], line["uj"]) for line in found] == [
        ("FPGA", 0.1, None), ("FPGA on me@board", 0.3, 7.5), ("FPGA on other", 0.4, None), ("C model -O2", 3, None),
    ]  # fmt: skip
    assert "energy of all that rail 5V carries" in found[1]["source"]
    assert "energy" not in found[2]["source"]
    assert latencies(design, target, [], boards) == []
