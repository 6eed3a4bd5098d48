"""One's own model measured: from a file, from a notebook, folded and parallel, and refused with the reason."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from user_models import INPUTS, OUTPUTS, saved, small

import codesign
from codesign.cli import main
from codesign.counting import number_of
from codesign.errors import InputError, MismatchError, ModelError, StorageError
from codesign.measurement import Provenance
from hw.design import design
from hw.graph import Graph
from hw.measure.verilator import pack


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measure")
    path = saved(small(), folder / "mine.h5")
    stages = []

    def stage(name):
        stages.append(name)
        return contextlib.nullcontext()

    return codesign.measure(path, out=folder / "out", stage=stage), folder / "out", stages


def test_every_level_agrees_and_every_figure_says_where_it_comes_from(measured) -> None:
    result, _, stages = measured
    assert list(dict.fromkeys(stages)) == [
        "lowering", "emission", "synthesis", "timing", "simulation", "C simulation",
    ]  # fmt: skip
    figures = result.measurement.figures
    assert figures["mismatches"].value == figures["csim_mismatches"].value == 0
    assert figures["lut"].provenance is Provenance.SYNTHESIZED
    assert figures["lut"].value > 0
    assert figures["fmax"].provenance is Provenance.MODELLED
    assert figures["interval_cycles"].value == 1
    assert figures["latency_cycles"].provenance is Provenance.SIMULATED
    assert result.notes == ()


def test_the_project_holds_what_other_tools_need(measured) -> None:
    result, out, _ = measured
    sources = (out / "files.f").read_text().split()
    assert sources
    assert all((out / name).is_file() for name in sources)
    graph = Graph.from_json(json.loads((out / "graph.json").read_text()))
    assert graph.digest() == result.subject.graph.digest()
    rows = [int(line, 16) for line in (out / "golden" / "inputs.hex").read_text().split()]
    vectors = result.subject.vectors()[: len(rows)]
    packed = pack(vectors, result.design.input_bits)
    assert rows == [int.from_bytes(row.tobytes(), "little") for row in packed]
    expected = pack(graph.run(vectors), result.design.output_bits)
    rows = [int(line, 16) for line in (out / "golden" / "outputs.hex").read_text().split()]
    assert rows == [int.from_bytes(row.tobytes(), "little") for row in expected]
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(result.to_json()))
    assert f"Latency {number_of(result.value('latency_cycles'), 'cycle')}, " in (out / "README.md").read_text()


def test_a_model_in_memory_folded(measured) -> None:
    result = codesign.measure(small(), board="zcu104", clock_mhz=200, folding=8)
    assert result.subject.target.part.name == "xczu7ev-ffvc1156-2-e"
    assert {layer.mode for layer in result.design.layers} == {"folded"}
    assert result.value("interval_cycles") > 1
    assert result.subject.graph.digest() == measured[0].subject.graph.digest()


def test_the_class_alone(tmp_path: Path) -> None:
    result = codesign.measure(small(), argmax=True, out=tmp_path)
    x = np.random.default_rng(2).uniform(-1.5, 1.5, (200, INPUTS)).astype(np.float32)
    assert np.array_equal(result.subject.predict(x)[:, 0], small()(x).numpy().argmax(axis=1))
    assert (result.design.outputs, result.design.output_bits) == (1, 3)
    assert result.value("mismatches") == result.value("csim_mismatches") == 0
    assert len((tmp_path / "golden" / "outputs.hex").read_text().split()[0]) == 1


def test_an_argmax_of_one_output_is_refused() -> None:
    from quant.tf import keras, qkeras

    x = inputs = keras.layers.Input((3,), name="x")
    x = qkeras.QActivation("quantized_bits(4, 0, alpha=1)", name="input_quant")(x)
    x = qkeras.QDense(1, kernel_quantizer="ternary(alpha=1)", use_bias=False, name="logit")(x)
    model = keras.Model(inputs, x, name="one")
    said = "an argmax takes a vector of two or more outputs; 'one' gives 1: leave it out, or end with a Flatten"
    with pytest.raises(ModelError, match=re.escape(said)):
        codesign.measure(model, argmax=True)


def test_predictions_are_those_of_qkeras(measured) -> None:
    result, _, _ = measured
    x = np.random.default_rng(2).uniform(-1.5, 1.5, (200, INPUTS)).astype(np.float32)
    assert np.array_equal(result.subject.predict(x), small()(x).numpy())
    with pytest.raises(InputError, match=re.escape(f"inputs must have shape (n, {INPUTS}), not (3, 2)")):
        result.subject.predict(np.zeros((3, 2)))


def test_a_difference_of_hls4mls_own_c_simulation_is_told_with_its_reason() -> None:
    result = codesign.measure(small(activation="quantized_bits(4, 1, alpha=1)"))
    assert result.value("mismatches") == 0
    assert result.value("csim_mismatches") > 0
    assert re.match(
        r"hls4ml's own C simulation differs from QKeras on \d+ of 1280 vectors, first at vector", result.notes[0]
    )
    assert result.notes[1] == (
        "layer 'act': quantized_bits right behind unquantized sums is taken out by hls4ml's "
        "merge_linear_activation pass"
    )


@pytest.mark.parametrize("objects", [False, True], ids=["texts", "objects"])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_both_file_formats_hold_the_same_model(tmp_path: Path, suffix: str, objects: bool) -> None:
    from quant.models import load_model

    model = small(objects=objects)
    again = load_model(saved(model, tmp_path / f"mine{suffix}"))
    x = np.random.default_rng(3).uniform(-1, 1, (100, INPUTS)).astype(np.float32)
    assert again(x).shape == (100, OUTPUTS)
    assert np.array_equal(again(x).numpy(), model(x).numpy())


def test_files_that_are_no_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=re.escape(f"no such file: {tmp_path / 'none.h5'}")):
        codesign.measure(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("weights")
    with pytest.raises(ModelError, match=re.escape(f"{text} is neither a .keras nor an HDF5 file")):
        codesign.measure(text)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras 3 on NumPy 2
def test_models_of_keras_3_are_refused(tmp_path: Path) -> None:
    import keras

    import quant.tf  # noqa: F401  # it must come first

    assert keras.__version__ >= "3"
    path = tmp_path / "new.keras"
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)], name="mine")
    model.save(path)
    with pytest.raises(ModelError, match=f"model 'mine' is a Keras {keras.__version__} model; QKeras models are Keras"):
        codesign.measure(model)
    with pytest.raises(ModelError, match="dict is no Keras model; give one, or the path of its file"):
        codesign.measure({})
    with pytest.raises(ModelError, match=re.escape(f"{path} was saved by Keras {keras.__version__}; QKeras models")):
        codesign.measure(path)


def test_a_folder_that_cannot_be_written_is_noticed_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    stages = []

    def stage(name):
        stages.append(name)
        return contextlib.nullcontext()

    with pytest.raises(StorageError, match=re.escape(f"cannot write {tmp_path / 'out'}")):
        codesign.measure(small(), out=tmp_path / "out", stage=stage)
    assert stages == ["lowering"]


def test_a_difference_in_the_rtl_keeps_its_files(tmp_path: Path, monkeypatch) -> None:
    from hw import implement

    def wrong(graph, *arguments):
        nodes = list(graph.nodes)
        trits = nodes[-1].tensors["trits"].copy() if "trits" in nodes[-1].tensors else None
        assert trits is None  # the last node is the finer bias
        nodes[-1] = dataclasses.replace(nodes[-1], tensors={**nodes[-1].tensors, "bias": nodes[-1].tensors["bias"] + 1})
        return design(Graph(tuple(nodes)), *arguments)

    monkeypatch.setattr(implement, "design", wrong)
    with pytest.raises(MismatchError, match="RTL differs from the graph at vector 0, output 0"):
        codesign.measure(small(), out=tmp_path / "out")
    assert list((tmp_path / "out" / "failed").glob("sim/inputs.bin"))


def test_a_second_design_in_a_folder_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    codesign.measure(small(), out=tmp_path, folding=16)
    stale = tmp_path / "rtl" / "cdg_layer_of_another_model.sv"
    stale.write_text("module x; endmodule")
    codesign.measure(small(), out=tmp_path, folding=16)
    listed = (tmp_path / "files.f").read_text().split()
    assert {f"rtl/{path.name}" for path in (tmp_path / "rtl").iterdir()} == set(listed)


def test_inputs_that_are_no_numbers_are_refused(measured) -> None:
    x = np.zeros((1, INPUTS))
    x[0, 3] = np.nan
    with pytest.raises(InputError, match="inputs hold NaN"):
        measured[0].subject.predict(x)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="folding = 0 is not a number of cycles"):
        codesign.measure("x.h5", folding=0)
    with pytest.raises(InputError, match="unknown board 'pynq'"):
        codesign.measure("x.h5", board="pynq")


def test_the_command_line_prints_figures_or_json(tmp_path: Path, capsys) -> None:
    path = saved(small(), tmp_path / "mine.h5")
    assert main(["measure", str(path), "--part", "xc7a35t", "--clock", "50", "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert text.startswith("mine on xc7a35tcpg236-1 at 50 MHz, parallel")
    assert "synthesized" in text
    assert f"RTL, golden vectors, README and report.json are in {tmp_path / 'out'}" in text
    assert main(["measure", str(path), "--folding", "8", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["hardware"] == {"mode": "folded", "folding": 8}
    assert values["board"] == "pynq-z1"
    assert main(["measure", str(tmp_path / "none.h5")]) == 2
    assert capsys.readouterr().err == f"codesign: error: no such file: {tmp_path / 'none.h5'}\n"


def test_keras_3_imported_first_is_said(tmp_path: Path) -> None:
    path = saved(small(), tmp_path / "mine.h5")
    program = f"import keras, codesign; codesign.measure({str(path)!r})"
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert "InputError: Keras 3 is already imported, but QKeras needs Keras 2: set the environment" in found.stderr
