"""Every module of hw/rtl in its cocotb testbench, elaborated with a few sets of parameters."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cocotb_tools.runner import get_results, get_runner
from networks import image_graph, random_graph, random_inputs

from codesign.architecture import Hardware
from codesign.target import Part
from hw.design import design
from hw.emit.accelerator import accelerator
from hw.measure.delays import DelayModel
from hw.measure.tools import find_verilator

HERE = Path(__file__).parent
RTL = HERE.parents[1] / "hw" / "rtl"
TERNARY_UNIT = {"IN_W": 2, "IN_SIGNED": 1, "TERNARY": 1, "ACC_W": 6, "TREE_REG": 1}
CASES = [
    ("cdg_ternary_mul", {}),
    ("cdg_trit_sum", {}),
    ("cdg_count6", {}),
    ("cdg_sum6", {"W": 1}),
    ("cdg_sum6", {"W": 2}),
    ("cdg_sum6", {"W": 5}),
    ("cdg_choose", {"COUNT": 1}),
    ("cdg_choose", {"COUNT": 7}),
    ("cdg_slice", {"COUNT": 2, "WIDTH": 35}),
    ("cdg_slice", {"COUNT": 19, "WIDTH": 5}),
    ("cdg_product", {"X_W": 3, "X_SIGNED": 0}),
    ("cdg_product", {"X_W": 4, "X_SIGNED": 1}),
    ("cdg_adder_tree", {"N": 11, "W": 3, "REG": 1, "IS_SIGNED": 1}),
    ("cdg_adder_tree", {"N": 20, "W": 5, "REG": 2, "IS_SIGNED": 0}),
    ("cdg_ternary_act", {"ACC_W": 4}),
    ("cdg_requant", {"ACC_W": 6, "UP_W": 2, "V_W": 10, "SHIFT": 3, "OUT_W": 4, "LO": 0, "HI": 15}),
    ("cdg_requant", {"ACC_W": 6, "UP_W": 1, "V_W": 8, "SHIFT": 1, "OUT_W": 3, "LO": -4, "HI": 3}),
    ("cdg_requant", {"ACC_W": 5, "UP_W": 2, "V_W": 9, "SHIFT": 0, "OUT_W": 9, "LO": -256, "HI": 255}),
    ("cdg_round_clip", {"IN_W": 9, "SHIFT": 3, "OUT_W": 4, "OUT_SIGNED": 0, "LO": 0, "HI": 15}),
    ("cdg_round_clip", {"IN_W": 8, "SHIFT": 2, "OUT_W": 3, "OUT_SIGNED": 1, "LO": -4, "HI": 3}),
    ("cdg_round_clip", {"IN_W": 9, "SHIFT": 2, "OUT_W": 4, "OUT_SIGNED": 1, "LO": -7, "HI": 7}),
    ("cdg_round_clip", {"IN_W": 4, "SHIFT": 1, "OUT_W": 6, "OUT_SIGNED": 0, "LO": 0, "HI": 63}),
    ("cdg_round_clip", {"IN_W": 8, "SHIFT": 1, "OUT_W": 4, "OUT_SIGNED": 0, "LO": 3, "HI": 12}),
    ("cdg_round_clip", {"IN_W": 5, "SHIFT": 1, "OUT_W": 4, "OUT_SIGNED": 0, "LO": 0, "HI": 15}),
    ("cdg_staircase", {"IN_W": 7, "OUT_W": 2, "COUNT": 3, "THRESHOLDS": 30 << 14 | 1 << 7 | -5 & 0x7F, "BASE": 0}),
    ("cdg_staircase", {"IN_W": 1, "OUT_W": 2, "COUNT": 1, "THRESHOLDS": 0, "BASE": 3}),
    (
        "cdg_staircase",
        {"IN_W": 5, "OUT_W": 4, "COUNT": 6, "BASE": 13}
        | {"THRESHOLDS": sum((limit & 31) << 5 * i for i, limit in enumerate((-12, -7, -3, 0, 4, 9)))},
    ),
    ("cdg_rom_column", {"DEPTH": 30, "WORDS": 0x2B7E_1516}),
    ("cdg_rom_pair", {"DEPTH": 30, "LOW": 0x2B7E_1516, "HIGH": 0x0BAD_CAFE}),
    ("cdg_carry", {"W": 13}),
    ("cdg_add2", {"A_W": 17, "B_W": 9, "Y_W": 18, "B_INV": 0x1FF, "PLUS": 1}),
    ("cdg_add2", {"A_W": 12, "B_W": 12, "Y_W": 14, "A_SIGNED": 1, "A_INV": 0x3FFF, "PLUS": 0x2A5B}),
    ("cdg_add3", {"A_W": 16, "B_W": 16, "C_W": 16, "Y_W": 18}),
    (
        "cdg_add3",
        {"A_W": 14, "B_W": 11, "C_W": 3, "Y_W": 14, "B_SIGNED": 1, "A_INV": 0x3FFF, "C_INV": 0x2A87, "PLUS": 2},
    ),
    ("cdg_skid", {"WIDTH": 9}),
    ("cdg_fifo", {"WIDTH": 9, "DEPTH": 8}),
    ("cdg_fifo", {"WIDTH": 9, "DEPTH": 5}),
    ("cdg_fifo", {"WIDTH": 9, "DEPTH": 2}),
    ("cdg_fifo", {"WIDTH": 9, "DEPTH": 1}),
    ("cdg_flow", {"WIDTH": 9, "LATENCY": 0}),
    ("cdg_flow", {"WIDTH": 9, "LATENCY": 7}),
    ("cdg_collect", {"N_OUT": 7, "OUT_W": 2, "PE": 3}),
    ("cdg_collect", {"N_OUT": 3, "OUT_W": 2, "PE": 3}),
    ("cdg_mvu", TERNARY_UNIT | {"N_IN": 13, "N_OUT": 7, "SIMD": 7, "PE": 3, "ADDRESSES": 2, "INTERVAL": 6}),
    (
        "cdg_mvu",
        {"IN_W": 3, "IN_SIGNED": 0, "TERNARY": 0, "ACC_W": 8, "TREE_REG": 2}
        | {"N_IN": 10, "N_OUT": 5}
        | {"SIMD": 10, "PE": 1, "ADDRESSES": 1, "INTERVAL": 8},
    ),
    (
        "cdg_mvu",
        {"IN_W": 2, "IN_SIGNED": 1, "TERNARY": 0, "ACC_W": 10, "TREE_REG": 2}
        | {"N_IN": 70, "N_OUT": 4}
        | {"SIMD": 4, "PE": 2, "ADDRESSES": 1, "INTERVAL": 36},
    ),
    ("cdg_window", {"H": 5, "W": 4, "PIXEL_W": 3, "KH": 3, "KW": 2}),
    ("cdg_window", {"H": 4, "W": 5, "PIXEL_W": 2, "KH": 3, "KW": 3, "PT": 1, "PB": 1, "PL": 1, "PR": 1, "PAD": 2}),
    ("cdg_window", {"H": 7, "W": 6, "PIXEL_W": 2, "KH": 2, "KW": 3, "SH": 3, "SW": 2, "PL": 1, "BLOCK_RAM": 1}),
    ("cdg_window", {"H": 3, "W": 3, "PIXEL_W": 4, "KH": 1, "KW": 1, "PT": 2, "PR": 1}),
    (
        "cdg_window",
        {"H": 1, "W": 1, "PIXEL_W": 12, "KH": 4, "KW": 3, "SH": 3, "SW": 3, "PT": 1, "PB": 2, "PL": 1, "PR": 1},
    ),
    ("cdg_window", {"H": 4, "W": 1, "PIXEL_W": 1, "KH": 2, "KW": 1, "SH": 2}),
    ("cdg_window", {"H": 1, "W": 2, "PIXEL_W": 5, "KH": 2, "KW": 2, "PB": 1, "BLOCK_RAM": 1}),
    ("cdg_gather", {"WIDTH": 3, "COUNT": 5}),
    ("cdg_gather", {"WIDTH": 1, "COUNT": 2}),
    ("cdg_reduce", {}),
    ("cdg_reduce", {"COUNT": 2, "CHANNELS": 2, "WIDTH": 1, "OUT_W": 1}),
    ("cdg_reduce", {"COUNT": 5, "CHANNELS": 3, "WIDTH": 3, "OUT_W": 3, "IS_SIGNED": 1}),
    ("cdg_reduce", {"COUNT": 9, "CHANNELS": 2, "WIDTH": 3, "OUT_W": 7, "LARGEST": 0}),
    ("cdg_reduce", {"COUNT": 2, "CHANNELS": 1, "WIDTH": 1, "OUT_W": 2, "LARGEST": 0}),
    ("cdg_reduce", {"COUNT": 8, "CHANNELS": 3, "WIDTH": 4, "OUT_W": 7, "IS_SIGNED": 1, "LARGEST": 0}),
    ("cdg_reduce", {"COUNT": 6, "CHANNELS": 2, "WIDTH": 2, "OUT_W": 4, "IS_SIGNED": 1, "LARGEST": 0}),
    ("cdg_split", {"WIDTH": 3, "COUNT": 5}),
    ("cdg_split", {"WIDTH": 1, "COUNT": 2}),
    ("cdg_argmax", {"COUNT": 10, "WIDTH": 9, "IS_SIGNED": 1, "REGISTERS": 0}),
    ("cdg_argmax", {"COUNT": 7, "WIDTH": 2, "IS_SIGNED": 1, "REGISTERS": 0b101}),
    ("cdg_argmax", {"COUNT": 16, "WIDTH": 3, "IS_SIGNED": 0, "REGISTERS": 0b1111}),
    ("cdg_argmax", {"COUNT": 2, "WIDTH": 1, "IS_SIGNED": 0, "REGISTERS": 1}),
    ("cdg_lut5", {"WIDTH": 1, "TABLE": 0x2B7E_1516}),
    ("cdg_lut5", {"WIDTH": 2, "TABLE": 0x2B7E_1516}),
    ("cdg_max", {"COUNT": 9, "CHANNELS": 2, "WIDTH": 3, "IS_SIGNED": 1}),
    ("cdg_max", {"COUNT": 4, "CHANNELS": 3, "WIDTH": 2, "IS_SIGNED": 0}),
    ("cdg_max", {"COUNT": 1, "CHANNELS": 2, "WIDTH": 1, "IS_SIGNED": 0}),
    ("cdg_fork", {"COUNT": 3}),
    ("cdg_join", {"COUNT": 3}),
    ("cdg_axi_lite", {}),
    ("cdg_frame_in", {"WORD_W": 8, "FRAME_W": 21}),
    ("cdg_frame_in", {"WORD_W": 8, "FRAME_W": 8}),
    ("cdg_frame_words", {"WORD_W": 8, "WORDS": 3}),
    ("cdg_frame_words", {"WORD_W": 8, "WORDS": 1}),
    ("cdg_frame_store", {"WIDTH": 5, "ENTRIES": 6}),
    ("cdg_frame_store", {"WIDTH": 5, "ENTRIES": 8, "BLOCK_RAM": 1}),
    ("cdg_frame_store", {"WIDTH": 2, "ENTRIES": 1}),
    ("cdg_image_in", {"WORD_W": 32, "PIXEL_W": 5, "PIXELS": 12, "PER_WORD": 4, "BLOCK_RAM": 1}),
    ("cdg_image_in", {"WORD_W": 8, "PIXEL_W": 8, "PIXELS": 9, "PER_WORD": 1}),
    ("cdg_image_in", {"WORD_W": 8, "PIXEL_W": 21, "PIXELS": 4, "PER_WORD": 1}),
    ("cdg_frame_out", {"WORD_W": 32, "N": 9, "IN_W": 7, "IN_SIGNED": 1, "ELEMENT_W": 8}),
    ("cdg_frame_out", {"WORD_W": 32, "N": 2, "IN_W": 9, "IN_SIGNED": 0, "ELEMENT_W": 16}),
    ("cdg_counters", {"IN_FLIGHT": 4}),
]
BENCHES = {
    "cdg_add2": "bench_add3",
    "cdg_skid": "bench_stream",
    "cdg_fifo": "bench_stream",
    "cdg_accelerator_ip": "bench_accelerator",
}
TOPS = {"cdg_flow": "flow_top", "cdg_axi_lite": "axi_lite_top"}


@pytest.mark.parametrize(
    ("module", "parameters"), CASES, ids=[f"{m}-{'-'.join(map(str, p.values()))}" for m, p in CASES]
)
def test_module(module, parameters, tmp_path, runtime, monkeypatch):
    run_bench(module, parameters, tmp_path, runtime, monkeypatch)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    """Verilator's own objects of the first build: compiling them is most of what a build takes."""
    return tmp_path_factory.mktemp("runtime")


def run_bench(module, parameters, folder, runtime, monkeypatch, generated=()):
    """Elaborate ``module`` with ``parameters``, run its testbench, and fail where one of its tests failed."""
    for name, value in find_verilator().environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAKEFLAGS", f"{os.environ.get('MAKEFLAGS', '')} OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0")
    # Verilator's make file calls `python`
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    top = TOPS.get(module, module)
    sources = sorted(RTL.glob("*.sv")) + ([HERE / f"{top}.sv"] if module in TOPS else []) + list(generated)
    shutil.copytree(runtime, folder / "build")  # keeps the times
    runner = get_runner("verilator")
    runner.build(
        sources=sources,
        hdl_toplevel=top,
        parameters=parameters,
        build_dir=folder / "build",
        build_args=["-O0", "-Wno-fatal", "-Wno-MULTITOP"],
        log_file=folder / "build.log",
    )
    for path in (folder / "build").glob("verilated*.o"):
        # from tomorrow: make would take it for older than this build's own files
        os.utime(shutil.copy(path, runtime), (time.time() + 86_400,) * 2)
    results = runner.test(
        hdl_toplevel=top,
        test_module=BENCHES.get(module, module.replace("cdg_", "bench_")),
        build_dir=folder / "build",
        test_dir=folder / "test",
        extra_env={
            "BENCH_PARAMETERS": json.dumps(parameters),
            "PYTHONPATH": os.pathsep.join(map(str, [HERE, *sys.path])),
        },
        log_file=folder / "test.log",
    )
    ran, failed = get_results(results)
    assert ran > 0
    assert not failed, (folder / "test.log").read_text()[-6000:]


def build(graph, hardware):
    return design(graph, hardware, DelayModel.for_part(Part("xc7z020clg400-1", "xc7", "-1", {})), 6.0)


def write(files, folder):
    """Those of ``files`` that are not hand-written, as paths in ``folder``."""
    paths = [folder / name for name in files if not (RTL / name).exists()]
    for path in paths:
        path.write_text(files[path.name])
    return paths


@pytest.mark.parametrize("hardware", [Hardware("parallel"), Hardware("folded", 10)], ids=lambda hardware: hardware.mode)
def test_a_whole_generated_network(hardware, tmp_path, runtime, monkeypatch):
    graph = random_graph(5, [12, 7, 4], "3")
    x = random_inputs(graph, 80)
    built = build(graph, hardware)
    expected = {
        "inputs": x.tolist(),
        "outputs": graph.run(x).tolist(),
        "input_bits": built.input_bits,
        "output_bits": built.output_bits,
        "latency": built.latency_cycles,
        "interval": built.interval_cycles,
    }
    monkeypatch.setenv("BENCH_EXPECTED", json.dumps(expected))
    run_bench("cdg_network", {}, tmp_path, runtime, monkeypatch, write(built.files, tmp_path))


@pytest.mark.parametrize(
    ("widths", "hardware"),
    [([6, 9, 4], Hardware("parallel")), ([40, 7, 10], Hardware("parallel")), ([30, 8, 5], Hardware("folded", 10))],
    ids=["one word", "words of 64 bits", "folded"],
)
def test_a_whole_generated_accelerator(widths, hardware, tmp_path, runtime, monkeypatch):
    hold_accelerator(random_graph(5, widths, "3"), hardware, tmp_path, runtime, monkeypatch)


@pytest.mark.parametrize(
    ("graph", "hardware", "words"),
    [
        (image_graph(5, (6, 6, 1), 2, 5), Hardware("parallel"), (32, 6, 2)),  # six pixels a word
        (image_graph(5, (4, 5, 9), 3, None), Hardware("folded", 60), (32, 40, 5)),  # two words a pixel; gives an image
    ],
    ids=["pixels share words", "image to image"],
)
def test_a_whole_accelerator_of_images(graph, hardware, words, tmp_path, runtime, monkeypatch):
    form = accelerator(build(graph, hardware), graph, "0" * 32).format
    assert (form.word_bits, form.input_words, form.output_words) == words
    hold_accelerator(graph, hardware, tmp_path, runtime, monkeypatch)


def hold_accelerator(graph, hardware, tmp_path, runtime, monkeypatch):
    """Run the accelerator's testbench on ``graph`` as ``hardware``."""
    built = build(graph, hardware)
    ip = accelerator(built, graph, built.digest())
    x = random_inputs(graph, 400)
    x = x[np.unique(graph.run(x), axis=0, return_index=True)[1][:24]]  # each frame tells itself apart
    results = graph.run(x)
    expected = {
        "inputs": [words.tobytes().hex() for words in ip.format.encode(x)],
        "outputs": [row.tobytes().hex() for row in packed_outputs(results, ip.format)],
        "build_id": built.digest()[:32],
        "latency": ip.latency_cycles,
        "interval": ip.interval_cycles,
        "registers": ip.register_map(),
    }
    monkeypatch.setenv("BENCH_EXPECTED", json.dumps(expected))
    run_bench(ip.wrapper, {}, tmp_path, runtime, monkeypatch, write(ip.files, tmp_path))


def packed_outputs(results, layout):
    """Output frames as the RTL has to send them, without the code under test: elements, then zeros up to a word."""
    octets = results.astype(f"<i{layout.output.bits // 8}").view(np.uint8)
    return np.pad(octets, ((0, 0), (0, -octets.shape[1] % (layout.word_bits // 8))))


def test_every_module_has_a_testbench():
    assert {module for module, _ in CASES} == {path.stem for path in RTL.glob("*.sv")}
