"""The hls4ml backend: hls4ml's own verbs on our RTL, options honoured or refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest
from user_models import INPUTS, small

import codesign
from codesign.errors import InputError, ModelError, TargetError


def config(reuse: int, strategy: str) -> dict:
    return {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": reuse, "Strategy": strategy}}


def test_write_compile_predict_build(tmp_path) -> None:
    model = small()
    hls_model = codesign.convert_from_keras_model(model, output_dir=str(tmp_path / "prj"), clock_period=8)
    hls_model.compile()
    assert (tmp_path / "prj" / "rtl" / "cdg_network.sv").is_file()
    x = np.random.default_rng(1).uniform(-1, 1, (100, INPUTS)).astype(np.float32)
    assert np.array_equal(hls_model.predict(x), model(x).numpy())
    report = hls_model.build(csim=True, cosim=False)
    assert report["clock_mhz"] == 125
    assert report["part"] == "xc7z020clg400-1"
    assert report["figures"]["mismatches"]["value"] == report["figures"]["csim_mismatches"]["value"] == 0
    assert report["figures"]["lut"]["provenance"] == "synthesized"
    assert (tmp_path / "prj" / "report.json").is_file()


def test_resource_strategy_folds_to_the_reuse_factor(tmp_path) -> None:
    hls_model = codesign.convert_from_keras_model(
        small(), str(tmp_path / "prj"), part="xczu7ev-ffvc1156-2-e", hls_config=config(16, "Resource")
    )
    report = hls_model.build()
    assert report["hardware"] == {"mode": "folded", "folding": 16}
    assert report["part"] == "xczu7ev-ffvc1156-2-e"
    assert 1 < report["schedule"]["interval_cycles"] <= 16
    assert "csim_mismatches" not in report["figures"]


@pytest.mark.parametrize(
    ("reuse", "strategy", "message"),
    [
        (4, "Latency", "layer 'dense': Strategy 'latency' with ReuseFactor 4 cannot be honoured: Latency has ReuseF"),
        (1, "Resource", "layer 'dense': Strategy 'resource' with ReuseFactor 1 cannot be honoured"),
        (1, "Unrolled", "layer 'dense': Strategy 'unrolled' is not built; "),
    ],
)
def test_strategies_that_cannot_be_honoured_are_refused(tmp_path, reuse: int, strategy: str, message: str) -> None:
    hls_model = codesign.convert_from_keras_model(small(), str(tmp_path), hls_config=config(reuse, strategy))
    with pytest.raises(ModelError, match=re.escape(message)):
        hls_model.compile()


def test_layers_that_are_to_be_folded_differently_are_refused(tmp_path) -> None:
    settings = config(1, "Latency") | {"LayerName": {"logits": {"ReuseFactor": 4, "Strategy": "Resource"}}}
    hls_model = codesign.convert_from_keras_model(small(), str(tmp_path), hls_config=settings)
    message = (
        "layer 'logits' has Strategy 'resource' and ReuseFactor 4, layer 'dense' Strategy 'latency' and ReuseFactor 1"
    )
    with pytest.raises(ModelError, match=re.escape(message)):
        hls_model.compile()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"io_type": "io_serial"}, InputError, "io_type = 'io_serial' is not built; use 'io_parallel' or 'io_stream'"),
        ({"clock_uncertainty": "12%"}, InputError, "clock_uncertainty = '12%' is no option of the codesign backend"),
        ({"clock_period": -1}, InputError, "clock_period = -1 is not a positive number of nanoseconds"),
        ({"part": "xc7z021"}, TargetError, "unknown part 'xc7z021'"),
        (
            {"board": "zcu104", "part": "xc7a35t"},
            InputError,
            "part = 'xc7a35t' and board = 'zcu104' exclude",
        ),
        ({"board": "pynq"}, TargetError, "unknown board 'pynq'"),
    ],
)
def test_options_are_honoured_or_refused(options: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        codesign.convert_from_keras_model(small(), **options)


def test_a_part_of_ones_own_by_its_file(tmp_path) -> None:
    text = (resources.files("boards.parts") / "xc7a35t.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("xc7a35tcpg236-1", "xc7a35t-mine"))
    hls_model = codesign.convert_from_keras_model(small(), str(tmp_path / "prj"), part=str(tmp_path / "mine.toml"))
    assert hls_model.build()["part"] == "xc7a35t-mine"


def test_data_for_a_testbench_is_refused(tmp_path) -> None:
    hls_model = codesign.convert_from_keras_model(small(), str(tmp_path / "prj"), input_data_tb="x.npy")
    with pytest.raises(InputError, match=re.escape("input_data_tb = 'x.npy' is not used: vectors are drawn")):
        hls_model.compile()


def test_steps_of_other_backends_are_refused(tmp_path) -> None:
    hls_model = codesign.convert_from_keras_model(small(), str(tmp_path / "prj"))
    with pytest.raises(InputError, match=re.escape("build(vsynth) is not what this backend does")):
        hls_model.build(vsynth=True)


def test_another_backend_by_the_same_call(tmp_path) -> None:
    hls_model = codesign.convert_from_keras_model(small(), str(tmp_path / "prj"), backend="Vitis")
    hls_model.write()
    assert (tmp_path / "prj" / "firmware" / "myproject.cpp").is_file()


def test_hls4mls_own_call_says_what_works_beside_keras_3() -> None:
    """In a process that imports nothing of ours: hls4ml finds the backend by the environment's entry point."""
    program = (
        "import hls4ml\n"
        "try:\n"
        "    hls4ml.converters.convert_from_keras_model(None, backend='codesign')\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-P", "-c", program]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert found.stdout.splitlines()[-1].endswith("codesign.convert_from_keras_model takes the same arguments")
