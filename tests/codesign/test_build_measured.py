"""``build``, ``deploy`` and ``run`` of one's own network of images, from the folder that ``measure --out`` wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from networks import image_graph
from virtual_bundles import python_with

from boards.catalogue import load_target
from codesign.architecture import Hardware
from codesign.build import simulation_bundle
from codesign.build_subject import Buildable
from codesign.cli import main
from codesign.deployment.virtual_board import BOARDS
from codesign.errors import RunError
from codesign.measurement import Measurement
from codesign.measuring import Measured, Subject
from hw.design import design
from hw.graph import Graph
from hw.host_format import HostFormat
from hw.implement import random_vectors
from hw.measure.delays import DelayModel
from hw.measure.plan import write_files
from hw.project import project


def measured(
    folder: Path,
    *,
    board: str | None = "pynq-z1",
    part: str | None = None,
    outputs: int | None = 4,
    argmax: bool = False,
) -> Graph:
    """What ``measure --out`` leaves of a small network of images, without synthesis."""
    graph, hardware, target = (
        image_graph(5, (6, 6, 2), 2, outputs),
        Hardware("folded", 60),
        load_target(board, part, 100),
    )
    graph = graph.with_argmax() if argmax else graph
    built = design(graph, hardware, DelayModel.for_part(target.part), 8.8)
    write_files(folder, project("mine", built, graph, random_vectors(graph, 9, 1)))
    report = Measured(Subject("mine", graph, hardware, target), built, Measurement({})).to_json()
    (folder / "report.json").write_text(json.dumps(report))
    return graph


def test_it_is_built_without_vivado(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    graph = measured(Path("mine"))
    for arguments, said in (
        (["--dry-run"], "nothing was run; all that Vivado needs is in mine/builds/"),
        (["--target", "ip"], "wrote mine/builds/"),
        (["--target", "rtl"], "wrote mine/builds/"),
    ):
        assert main(["build", "mine", *arguments]) == 0
        out = capsys.readouterr().out
        assert re.match(r"mine: 6 x 6 x 2 inputs of 4 bits, 4 outputs   [0-9a-f]{8} of mine, for pynq-z1 ", out)
        assert said in out
    (script,) = Path("mine/builds").glob("*-bitstream/vivado/rtl/cdg_image_in.sv")
    assert script.read_text().startswith("// Takes images")
    (described,) = Path("mine/builds").glob("*-ip/accelerator.json")
    values = json.loads(described.read_text())
    assert (values["input_shape"], values["host_format"]["input"]["beats"]) == ([6, 6, 2], 36)
    (lines,) = Path("mine/builds").glob("*-rtl/golden/inputs.hex")
    assert len(lines.read_text().splitlines()) == 36 * 256
    assert values["graph"] == graph.digest()


@pytest.mark.parametrize("name", BOARDS)
def test_it_runs_on_a_virtual_board_bit_for_bit(tmp_path, monkeypatch, capsys, name):
    python_with(BOARDS[name][1])
    monkeypatch.chdir(tmp_path)
    measured(Path("mine"), board=name, outputs=4 if name == "pynq-z1" else None)
    assert main(["deploy", "mine", "--host", f"virtual:{name}"]) == 0
    out = capsys.readouterr().out
    assert "golden vectors: 256 of 256 equal, bit for bit" in out
    assert re.search(r"latency: \d+ cycles, as scheduled", out)
    (path,) = Path("mine/builds").glob("*-simulation/deploy-report-virtual.json")
    figures = json.loads(path.read_text())["figures"]
    assert figures["board_interval_cycles"]["value"] == figures["board_interval_cycles"]["details"]["scheduled"]
    np.savez("x.npz", x=np.random.default_rng(2).random((20, 6, 6, 2)))
    assert main(["run", "mine", "--host", f"virtual:{name}", "--input", "x.npz", "--output", "y.npz"]) == 0
    assert "every output equals the canonical network's, bit for bit: 20 of 20" in capsys.readouterr().out


def test_classes_alone_on_a_virtual_board(tmp_path, monkeypatch, capsys):
    python_with(BOARDS["pynq-z1"][1])
    monkeypatch.chdir(tmp_path)
    graph = measured(Path("mine"), argmax=True).logits()
    x = np.random.default_rng(2).random((20, 6, 6, 2))
    right = graph.run(graph.input.type.nearest(x.reshape(20, -1))).argmax(axis=1)
    np.savez("x.npz", x=x, y=np.where(np.arange(20) < 3, (right + 1) % 4, right))
    assert main(["run", "mine", "--host", "virtual:pynq-z1", "--input", "x.npz", "--output", "y.npz"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^mine: 6 x 6 x 2 inputs of 4 bits, one of 4 classes", out)
    assert "accuracy: 85.00 % (17 right" in out
    assert "every output equals the canonical network's, bit for bit: 20 of 20\nclasses: y.npz" in out
    with np.load("y.npz") as given:
        assert sorted(given) == ["class_names", "classes"]
        assert np.array_equal(given["classes"], right)


def test_the_golden_vectors_are_the_graphs(tmp_path):
    graph = measured(tmp_path)
    subject = Buildable.measured(tmp_path)
    bundle = simulation_bundle(subject)
    layout = HostFormat.from_json(bundle.manifest["host_format"])
    x = subject.vectors()
    assert layout.encode(x).shape == (256, layout.input_words)
    assert bundle.manifest["graph"] == graph.digest()
    assert bundle.manifest["latency_cycles"] == subject.accelerator.latency_cycles > subject.design.latency_cycles


def test_what_does_not_fit_together(tmp_path):
    measured(tmp_path)
    top = tmp_path / "rtl" / "cdg_network.sv"
    top.write_text(top.read_text() + "// changed\n")
    said = r"is not usable: ValueError\('the RTL is not that of the schedule'\); measure the network again$"
    with pytest.raises(RunError, match=said):
        Buildable.measured(tmp_path)
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(RunError, match=r"is not usable: TypeError"):
        Buildable.measured(tmp_path)


@pytest.mark.parametrize(
    ("board", "part", "arguments", "message"),
    [
        (
            "pynq-z1",
            None,
            ["build", "mine", "--pick", "knee"],
            "mine holds one network; leave out --pick knee, or give a",
        ),
        (
            None,
            "xc7z020",
            ["build", "mine", "--dry-run"],
            "a bitstream is made for a board, but mine is for the bare part",
        ),
        ("pynq-z1", None, ["deploy", "mine", "--host", "me@board"], "mine has no bitstream of "),
    ],
)
def test_what_cannot_be_built(tmp_path, monkeypatch, capsys, board, part, arguments, message):
    monkeypatch.chdir(tmp_path)
    measured(Path("mine"), board=board, part=part)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"codesign: error: {message}")
