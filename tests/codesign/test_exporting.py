"""``codesign build --target c`` and ``hls``: of a stored candidate, and of a model of one's own."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from networks import random_graph
from test_build import built_folder, store_run
from user_models import saved, small

from codesign.cli import main
from codesign.errors import DataError
from codesign.exporting import judged_on
from hw.graph import Graph


def made(folder):
    """What ``make`` says there."""
    return subprocess.run(["make", "-s"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_candidate_in_c(here, capsys):
    record = store_run(here, 'board = "pynq-z1"')
    assert main(["build", "--target", "c"]) == 0
    folder = built_folder(record, "c")
    assert f"wrote {folder.relative_to(here) if folder.is_absolute() else folder}" in capsys.readouterr().out
    assert made(folder).stdout == "1280 vectors: all outputs equal\n"
    assert (folder / f"small_{record.digest[:8]}.h").is_file()
    assert json.loads((folder / "input_format.json").read_text())["bits"] == 4


def test_a_model_in_c_with_vectors_from_a_file(here, capsys):
    path = saved(small(), here / "mine.h5")
    x = np.random.default_rng(0).uniform(-1, 1, (3000, 16)).astype(np.float32)
    np.save("x.npy", x)
    assert main(["build", str(path), "--target", "c", "--vectors", "x.npy"]) == 0
    assert made("mine-c").stdout == "3000 vectors: all outputs equal\n"
    graph = Graph.from_json(json.loads(Path("mine-c/graph.json").read_text()))
    expected = graph.output.type.to_real(np.load("mine-c/golden/outputs.npy"))
    assert np.array_equal(small()(x).numpy(), expected)


def test_a_model_in_floating_point_takes_formats(here, capsys):
    from quant.tf import keras

    keras.utils.set_random_seed(1)
    x = inputs = keras.layers.Input((4,), name="x")
    x = keras.layers.Dense(8, activation="relu", name="hidden")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(x), name="plain")
    kernel, bias = model.get_layer("hidden").get_weights()
    kernel[1, 2] = 2.33
    model.get_layer("hidden").set_weights([kernel, bias])
    path = saved(model, here / "plain.h5")
    assert main(["build", str(path), "--target", "c"]) == 2
    refused = capsys.readouterr().err
    assert "does not quantize the input" in refused
    assert refused.endswith("(build --target c), choose the input's format: --format 'input=fixed<8,1>'\n")
    samples = np.random.default_rng(0).uniform(-1, 1, (500, 4)).astype(np.float32)
    np.savez("data.npz", x_test=samples, y_test=model(samples).numpy().argmax(axis=1))
    formats = ["--format", "input=fixed<10,1>", "--format", "weight=fixed<10,2>", "--format", "result=fixed<14,4>"]
    assert main(["build", str(path), "--target", "c", *formats, "--data", "data.npz"]) == 0
    text = capsys.readouterr().out
    assert "500 samples of data.npz; accuracy in floating point 100.00%" in text
    clipped = "hidden: 1 weight clipped to fixed<10,2>, which goes from -2 to 1.9961, the largest 2.33"
    assert f"note: {clipped}; give hidden.weight=fixed<W,I> a larger I\n" in text
    report = json.loads(Path("plain-c/conversion.json").read_text())
    assert [layer["clipped"] for layer in report["layers"]] == [0, 1, 0]
    assert [layer["layer"] for layer in report["layers"]] == ["x", "hidden", "out"]
    assert report["formats"] == ["input=fixed<10,1>", "weight=fixed<10,2>", "result=fixed<14,4>"]
    assert report["accuracy"] == 1.0
    assert report["layers"][-1]["accuracy"] > 0.95
    assert made("plain-c").stdout == "1280 vectors: all outputs equal\n"


def test_hls4mls_projects_and_how_exact_they_are(here, capsys):
    path = saved(small(), here / "mine.h5")
    assert main(["build", str(path), "--target", "hls"]) == 0
    text = capsys.readouterr().out
    for backend in ("Vitis", "Vivado"):
        folder = Path("mine-hls", backend.lower())
        assert "dense" in (folder / "firmware" / "network.cpp").read_text()
        assert (folder / "build_prj.tcl").is_file()
        words = f"{backend} backend: its C simulation differs from the integer network on 0 of 1280 random vectors"
        assert words in text
        assert words in Path("mine-hls/README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine.h5"], "--target bitstream is made of a run, not of mine.h5; codesign measure mine.h5 --out DIR writes"),
        (["--target", "rtl", "--vectors", "x.npy"], "--vectors is for --target c, not rtl; leave it out"),
        (["--target", "c", "--format", "weight=fixed<8,2>"], "--format is for --target c of a model in a file, not"),
        (["mine.h5", "--target", "c", "--data", "x.npz"], "--data x.npz is what --format is judged on; without that"),
        (["none.h5", "--target", "c"], "none.h5"),
        (["mine.h5", "--target", "c", "--format", "dense.weigth=fixed<8,2>"], "--format 'dense.weigth' is of nothing"),
        (["mine.h5", "--target", "c", "--format", "act.result=fixed<8,2>"], "; did you mean result or logits.result"),
        (
            ["mine.h5", "--target", "c", "--format", "weight=fixed<8,2>", "--data", "x.npz"],
            "cannot read x.npz: No such",
        ),
        (["mine.h5", "--target", "c", "--vectors", "x.npy"], "cannot read x.npy: No such file or directory"),
    ],
)
def test_what_does_not_go_together(here, capsys, arguments, message):
    saved(small(), here / "mine.h5")
    assert main(["build", *arguments]) == 2
    assert message in capsys.readouterr().err


EXACT = "kernels are -1, 0, +1, and scales and biases exact; leave it out"


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        (["weight=fixed<8,2>"], f"--format 'weight' rounds nothing: in dense, logits {EXACT}\n"),
        (["dense.weight=fixed<8,2>"], f"--format 'dense.weight' rounds nothing: in dense {EXACT}\n"),
        (
            ["result=fixed<8,2>"],
            f"--format 'result' rounds nothing: in dense, logits {EXACT}, or name a layer: dense.result\n",
        ),
        (
            ["dense.result=fixed<8,2>", "logits.result=fixed<8,2>", "result=fixed<9,2>"],
            "--format 'result' rounds nothing: every layer has a format of its own; leave it out\n",
        ),
    ],
)
def test_a_format_that_rounds_nothing_is_refused(here, capsys, formats, message):
    saved(small(), here / "mine.h5")
    given = [word for text in formats for word in ("--format", text)]
    assert main(["build", "mine.h5", "--target", "c", *given]) == 2
    assert capsys.readouterr().err == f"codesign: error: {message}"
    assert not Path("mine-c").exists()


@pytest.mark.parametrize("own", ["fixed<8,2>", "fixed<10,4>"])
def test_a_format_of_one_layer_that_rounds_as_the_one_for_all_does_is_taken(here, own):
    from quant.tf import keras

    keras.utils.set_random_seed(1)
    saved(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2, name="last")]),
        here / "real.h5",
    )
    given = ["input=fixed<8,1>", "weight=fixed<8,2>", f"last.weight={own}"]
    assert main(["build", "real.h5", "--target", "c", *[word for text in given for word in ("--format", text)]]) == 0


def test_a_format_of_one_layer_of_a_model_that_is_not_ternary_is_refused_too(here, capsys):
    """In the others it rounds something, in the averages of four nothing."""
    from quant.tf import keras

    keras.utils.set_random_seed(1)
    x = inputs = keras.layers.Input((4, 4, 1), name="x")
    x = keras.layers.Conv2D(2, 1, name="conv")(x)
    x = keras.layers.AveragePooling2D(2, name="average")(x)
    model = keras.Model(inputs, keras.layers.Flatten(name="flat")(x), name="plain")
    saved(model, here / "plain.h5")
    given = ["--format", "input=fixed<8,1>", "--format", "weight=fixed<8,2>"]
    assert main(["build", "plain.h5", "--target", "c", *given]) == 0
    assert main(["build", "plain.h5", "--target", "c", *given, "--format", "average.weight=fixed<9,1>"]) == 2
    assert "--format 'average.weight' rounds nothing: in average" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 16))}, "data.npz lacks x_test, the samples; present: x"),
        ({"x_test": np.zeros((0, 16))}, "x_test of data.npz has shape (0, 16): there are no samples in it"),
        ({"x_test": np.zeros((2, 15))}, "x_test of data.npz has shape (2, 15), 15 features a sample: this network"),
        ({"x_test": np.full((2, 16), np.nan)}, "x_test of data.npz has 32 values not finite in float"),
        ({"y_test": [0, 99]}, "y_test of data.npz has the label 99, 1 such in all: give indices of outputs, 0 to 4"),
        ({"y_test": [5, -1]}, "y_test of data.npz has the label 5, 2 such in all: give indices of outputs, 0 to 4"),
        ({"y_test": [0.0, 1.0]}, "y_test of data.npz is float64 of shape (2,); give (2,) indices of outputs"),
        ({"y_test": [0, 1, 2]}, "y_test of data.npz is int64 of shape (3,); give (2,) indices of outputs"),
    ],
)
def test_what_is_no_data_to_judge_formats_on(here, arrays, message):
    np.savez("data.npz", **{"x_test": np.zeros((2, 16))} | arrays if "x" not in arrays else arrays)
    graph = random_graph(0, [16, 5], "4")
    with pytest.raises(DataError, match=re.escape(message)):
        judged_on(Path("data.npz"), graph)
