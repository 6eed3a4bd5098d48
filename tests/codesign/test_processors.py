"""``codesign measure --via c``: the C model timed here, TensorFlow Lite beside it, and times of another machine."""

from __future__ import annotations

import json
import subprocess

import pytest
from networks import random_graph, random_inputs
from user_models import saved, small

from codesign.cli import main
from codesign.errors import InputError, MismatchError
from codesign.instruments import Reading
from codesign.latencies import latencies
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import Part, Target
from hw.cmodel.project import project
from hw.measure import cpu


def test_the_model_is_timed_on_this_processor(tmp_path, capsys):
    path, out = saved(small(), tmp_path / "mine.h5"), tmp_path / "out"
    assert main(["measure", str(path), "--via", "rtl,c", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    c, tflite = report["instruments"]
    assert (c["instrument"], c["status"], tflite["instrument"], tflite["status"]) == ("c", "ok", "tflite", "ok")
    assert list(c["figures"]) == ["c_o2", "c_o3", "c_native"]
    for figure in (*c["figures"].values(), *tflite["figures"].values()):
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
        *("C model -O2", "C model -O3", "C model -O3 -march=native", "TensorFlow Lite"),
    ]  # fmt: skip
    assert "energy: - where it was not measured" in text
    assert (out / "instruments" / "c" / "mine.h").is_file()


def program_says(graph, folder):
    """What ``make -s test time`` prints."""
    cpu.measure(graph, "net", random_inputs(graph, 40), folder, "a test")
    made = subprocess.run(["make", "-s", "test", "time"], cwd=folder, capture_output=True, text=True, check=True)
    return made.stdout


def test_times_of_another_machine_are_those_of_the_same_network(tmp_path):
    graph, other = random_graph(0, [8, 4, 2], "ternary"), random_graph(1, [8, 4, 2], "ternary")
    said = program_says(graph, tmp_path / "c")
    kept = tmp_path / "board.txt"
    kept.write_text(said)
    figure = cpu.read_times(kept, graph).figures["c_board"]
    assert (figure.provenance, figure.unit) == (Provenance.TIMED, "us")
    assert figure.value == pytest.approx(json.loads(said.splitlines()[-1])["ns"] / 1000)
    with pytest.raises(
        InputError, match=f"is of the network {graph.digest()[:8]}, but this one is {other.digest()[:8]}"
    ):
        cpu.read_times(kept, other)
    kept.write_text("make: no such file\n")
    with pytest.raises(InputError, match="holds no line as `make time` of the C model prints it"):
        cpu.read_times(kept, graph)
    kept.write_text('{"ns": 3}\n')
    with pytest.raises(InputError, match="holds no line as"):
        cpu.read_times(kept, graph)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        cpu.read_times(tmp_path / "none", graph)


def test_a_c_model_that_differs_is_no_figure(tmp_path, monkeypatch):
    graph = random_graph(0, [8, 4, 2], "ternary")

    def broken(*given):
        files = project(*given)
        return files | {"net.h": files["net.h"].replace("v >= 0", "v > 0").replace("y[o] = ", "y[o] = 1 + ")}

    monkeypatch.setattr(cpu, "project", broken)
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


def test_times_of_a_board_need_those_of_here(tmp_path, capsys):
    path = saved(small(), tmp_path / "mine.h5")
    assert main(["measure", str(path), "--c-times", "x.txt"]) == 2
    assert "--c-times x.txt goes beside the C model's times here: add c to --via" in capsys.readouterr().err


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
