"""Networks of images measured end to end: by codesign.measure with a goal, and as a backend of hls4ml."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qkeras_images import conv, dense, depthwise, drawn, layer, model, relu, residual
from user_models import saved

import codesign
from boards.catalogue import load_target
from codesign import measuring
from codesign.architecture import Architecture, ConvLayer, Hardware
from codesign.build_subject import Buildable
from codesign.cli import main
from codesign.measuring import Subject, measure
from codesign.show import hardware_words
from hw.graph import Op
from hw.solver import Goal

pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]


def small() -> Any:
    pool = layer("MaxPooling2D", 2, name="pool")
    return drawn(model((6, 6, 2), conv("c", 3), relu("a"), pool, layer("Flatten", name="f"), dense("d", 4)))


def test_a_goal_is_met_and_every_level_agrees(tmp_path: Path) -> None:
    found = measure(small(), goal=Goal(interval=90), out=tmp_path)
    assert found.value("interval_cycles") <= 90
    assert found.value("mismatches") == found.value("csim_mismatches") == 0
    assert {layer.mode for layer in found.design.layers} == {"parallel", "folded", "streaming"} or found.value(
        "lut"
    ) > 0
    assert any(note.startswith("folded for a frame every 90 cycles: predicted ") for note in found.notes)
    assert Buildable.measured(tmp_path).design.digest() == found.design.digest()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["figures"]["latency_cycles"]["value"] == found.design.latency_cycles
    lines = (tmp_path / "golden" / "inputs.hex").read_text().splitlines()
    assert len(lines) == 36 * 256  # a pixel a line
    assert "one of 36 pixels of a frame, row by row: 2 inputs" in (tmp_path / "README.md").read_text()


def longer(network: Any, folding: int) -> list[str]:
    subject = Subject.from_keras(network, Hardware("folded", folding), load_target("pynq-z1", None, 100.0), "n")
    return measuring._longer(subject, subject.first_design())


def test_a_frame_that_takes_longer_than_the_folding_says_why() -> None:
    ends = relu("a"), layer("Flatten", name="f")
    padded = drawn(model((8, 8, 1), conv("c", 3, padding="same"), *ends, dense("d", 2)))
    (both,) = longer(padded, 64)
    assert re.fullmatch(
        r"folding = 64: the network takes a frame every (\d+) cycles, as layer 'c' alone takes \1: every pixel that it "
        "reads or pads takes a cycle, and its registers hold two results at a time",
        both,
    )
    assert longer(padded, 640) == []
    read = drawn(model((8, 8, 1), depthwise("c", padding="same"), *ends, dense("d", 2)))
    assert longer(read, 64) == [
        "folding = 64: the network takes a frame every 100 cycles, as layer 'c' alone takes 100: every pixel that it "
        "reads or pads takes a cycle"
    ]
    (bursts,) = longer(drawn(model((6, 6, 2), residual(2), conv("e", 2))), 280)
    assert bursts.endswith("cycles, as its layers hold each other up, as their pixels come in bursts")
    (registers,) = longer(drawn(model((12,), dense("c", 8), relu("a"), dense("d", 4))), 2)
    assert registers.endswith(": its registers hold two vectors at a time")


def test_the_words_of_a_folded_candidate_count_its_padding() -> None:
    image = Architecture(
        64, 10, 4, (), True, Hardware("folded", 64), image=(8, 8, 1), convolutions=(ConvLayer(8, 3, "2"),)
    )
    words = "folded, at most about 64 cycles per layer, but 100 at least of a convolution, one for every pixel, padding"
    assert hardware_words(image) == f"{words} included"
    enough = dataclasses.replace(image, hardware=Hardware("folded", 100))
    assert hardware_words(enough) == "folded, at most about 100 cycles per layer"


def test_the_backend_takes_images(tmp_path: Path) -> None:
    network = small()
    hls_model = codesign.convert_from_keras_model(network, backend="codesign", output_dir=str(tmp_path / "prj"))
    hls_model.compile()
    x = np.random.default_rng(0).uniform(0, 1, (20, 6, 6, 2)).astype(np.float32)
    assert np.array_equal(hls_model.predict(x), network.predict(x, verbose=0))
    assert (tmp_path / "prj" / "rtl" / "cdg_window.sv").exists()


def test_means_of_any_number_of_values_are_built_through_hls4ml(tmp_path: Path) -> None:
    """Of nine and of 25, quantized: RTL, hls4ml's verbs and its C simulation give what QKeras gives."""
    pools = [layer("AveragePooling2D", 3, 1, name="p"), relu("b", 4, 1), layer("GlobalAveragePooling2D", name="g")]
    network = drawn(model((7, 7, 2), conv("c", 3, 1), relu("a"), *pools, relu("e", 4, 1), dense("d", 4)))
    hls_model = codesign.convert_from_keras_model(network, backend="codesign", output_dir=str(tmp_path / "prj"))
    hls_model.compile()
    x = np.random.default_rng(0).uniform(0, 1, (200, 7, 7, 2)).astype(np.float32)
    assert np.array_equal(hls_model.predict(x), network.predict(x, verbose=0))
    report = hls_model.build(csim=True)
    assert report["figures"]["mismatches"]["value"] == report["figures"]["csim_mismatches"]["value"] == 0
    found = measure(network, folding=60)
    assert [node.op for node in found.subject.graph].count(Op.DIVIDE) == 2
    assert found.value("mismatches") == found.value("csim_mismatches") == 0


def test_what_the_part_cannot_meet_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(small(), tmp_path / "mine.h5")
    assert main(["measure", str(path), "--interval", "20"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "layer 'c' takes 36 cycles per frame at least, more than the 20 asked for" in said
    with pytest.raises(SystemExit):
        main(["measure", str(path), "--fit", "0"])
