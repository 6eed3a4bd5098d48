"""The C model is the Graph, bit for bit, under sanitizers, and on the boards' processors where they are emulated."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest
from networks import random_graph, random_inputs
from random_images import random_image_graph

from codesign.errors import DataError
from hw.cmodel.project import GOLDEN_INPUTS, project, write_project, write_vectors
from hw.graph import FixedType, Graph, Node, Op
from hw.measure.plan import write_files
from hw.samples import read_array

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
# with sanitizers gcc 12 sees indices out of bounds that no loop reaches; the address sanitizer tells them itself
SANITIZED = (*STRICT, "-Wno-array-bounds", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
EMULATED = {"arm-linux-gnueabihf-gcc": "qemu-arm", "aarch64-linux-gnu-gcc": "qemu-aarch64"}
DENSE = (
    ([64, 24, 10], "ternary"), ([7, 5, 3], "4"), ([13, 9, 2], "s3"), ([3, 2, 1], "binary"), ([1, 1], "4"),
    ([130, 33, 17, 5], "1"),
)  # fmt: skip


def written(graph, folder, x, name="net"):
    write_files(folder, project(graph, name, "a test"))
    write_vectors(folder, graph, x)
    return folder


def run(command, folder):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def compiled(folder, compiler=("gcc", *SANITIZED), name="net"):
    made = run([*compiler, "-o", name, f"{name}_test.c"], folder)
    assert made.returncode == 0, made.stderr
    return str(folder / name)


def exact(graph, folder, x):
    program = compiled(written(graph, folder, x))
    return run([program, "golden/inputs.npy", "golden/outputs.npy"], folder)


def vectors(graph, count=60, seed=0):
    x = random_inputs(graph, count, seed)
    x[0], x[-1] = graph.input.type.low, graph.input.type.high
    return x


def test_the_place_of_the_largest_output(tmp_path):
    graph = random_graph(9, [6, 5, 7], "s3", input_bits=2).with_argmax()
    ran = exact(graph, tmp_path, vectors(graph))
    assert (ran.returncode, ran.stdout) == (0, "60 vectors: all outputs equal\n"), ran.stdout + ran.stderr


@pytest.mark.parametrize(("seed", "shape"), list(enumerate(DENSE)), ids=str)
def test_dense_networks_are_exact(seed, shape, tmp_path):
    graph = random_graph(seed, *shape, input_bits=1 + seed, input_signed=seed % 2 == 1)
    x = vectors(graph)
    ran = exact(graph, tmp_path, x)
    assert (ran.returncode, ran.stdout) == (0, f"{len(x)} vectors: all outputs equal\n"), ran.stdout + ran.stderr


@pytest.mark.parametrize("seed", range(10))
def test_networks_over_images_are_exact(seed, tmp_path):
    graph = random_image_graph(seed)
    ran = exact(graph, tmp_path, vectors(graph))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1300))
def test_many_networks_over_images_are_exact(seed, tmp_path):
    graph = random_image_graph(seed)
    ran = exact(graph, tmp_path, vectors(graph))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_random_networks_have_every_operation():
    operations = {node.op for seed in range(10) for node in random_image_graph(seed)}
    assert operations == set(Op) - {Op.ARGMAX}  # which only ends a network


@pytest.mark.parametrize("compiler", EMULATED)
@pytest.mark.parametrize("seed", range(4))
def test_the_boards_processors_compute_the_same(compiler, seed, tmp_path):
    emulator = next(filter(None, map(shutil.which, (EMULATED[compiler], f"{EMULATED[compiler]}-static"))), None)
    if emulator is None or shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler} and {EMULATED[compiler]} on PATH")
    graph = random_image_graph(seed) if seed % 2 else random_graph(seed, [64, 24, 10], "ternary")
    folder = written(graph, tmp_path, vectors(graph))
    program = compiled(folder, (compiler, *STRICT, "-O3", "-static"))
    ran = run([emulator, program, "golden/inputs.npy", "golden/outputs.npy"], folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_maximum_of_values_that_its_own_type_does_not_hold(tmp_path):
    x = Node("x", Op.INPUT, None, (1, 2, 1), FixedType(True, 3, 0))
    pad = Node("p", Op.PAD, "x", (1, 3, 1), FixedType(True, 3, 0), {"padding": np.array([0, 0, 0, 1])})
    geometry = {"window": np.array([1, 3]), "stride": np.array([1, 1]), "padding": np.zeros(4, np.int64)}
    graph = Graph((x, pad, Node("m", Op.MAXPOOL, "p", (1, 1, 1), FixedType(False, 2, 0), geometry)))
    ran = exact(graph, tmp_path, np.array([[-1, -2], [-4, -1], [3, -4]]))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", ["net", "v"])
def test_layers_may_be_called_as_the_header_calls_its_own(name, tmp_path):
    """Each name of the header's, and each that a table or a window of layer a or of a convolution has."""
    rng, wide = np.random.default_rng(0), FixedType(True, 30, 0)
    nodes = [Node("input_t", Op.INPUT, None, (2, 2, 1), FixedType(True, 3, 0))]

    def then(called, op, dims, kind=wide, **tensors):
        nodes.append(Node(called, op, nodes[-1].name, dims, kind, tensors))

    def conv(called):
        geometry = {"stride": np.ones(2, np.int64), "padding": np.zeros(4, np.int64)}
        channels = nodes[-1].dims[-1]
        trits = rng.integers(-1, 2, (1, 1, channels, 2))
        then(called, Op.CONV, (2, 2, 2), trits=trits, bias=rng.integers(-3, 3, 2), **geometry)

    conv("a")
    conv("a_window")
    then("a_scale", Op.AFFINE, (2, 2, 2), shift=np.ones(2, np.int64), bias=np.ones(2, np.int64))
    then("flat", Op.RESHAPE, 8)
    others = ("a_weights", "a_bias", "run", "output_t", "floor_shift32", "H", "GRAPH", "INPUTS", "OUTPUT_FRAC")
    for called in others:
        size = nodes[-1].size
        then(called, Op.DENSE, 4, trits=rng.integers(-1, 2, (size, 4)), bias=np.zeros(4, np.int64))
    then("q", Op.QUANTIZE, 4, FixedType(True, 8, -2), shift=np.array(2), low=np.array(-128), high=np.array(127))
    graph = Graph(tuple(nodes))
    program = compiled(written(graph, tmp_path, vectors(graph), name), name=name)
    ran = run([program, "golden/inputs.npy", "golden/outputs.npy"], tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_sums_beyond_32_bits(tmp_path):
    wide = FixedType(True, 32, 0)
    x = Node("x", Op.INPUT, None, 6, wide)
    dense = Node("d", Op.DENSE, "x", 2, FixedType(True, 36, 0), {
        "trits": np.array([[1, -1]] * 6), "bias": np.array([2**40, -5])})  # fmt: skip
    bounds = {"low": np.array(-(2**33)), "high": np.array(2**33)}
    clipped = Node("q", Op.QUANTIZE, "d", 2, FixedType(True, 35, -3), {"shift": np.array(3), **bounds})
    graph = Graph((x, dense, clipped))
    ran = exact(graph, tmp_path, vectors(graph))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_changed_weight_and_a_changed_output_are_noticed(tmp_path):
    graph = random_graph(0, [16, 4, 3], "4")
    folder = written(graph, tmp_path, vectors(graph))
    header = folder / "net.h"
    begun, ended = header.read_text().split("net_dense_0_weights[16] = {\n    ")
    number = int(ended.split(",")[1])
    flipped = number + 1 if number & 3 < 2 else number - 1  # the first of four weights
    header.write_text(f"{begun}net_dense_0_weights[16] = {{\n    " + ended.replace(f" {number},", f" {flipped},", 1))
    ran = run([compiled(folder), "golden/inputs.npy", "golden/outputs.npy"], folder)
    assert ran.returncode == 1
    assert ran.stdout.startswith("vector ")
    expected = np.load(folder / "golden/outputs.npy")
    expected[7, 1] += 1
    written(graph, tmp_path, vectors(graph))
    np.save(folder / "golden/outputs.npy", expected)
    ran = run([compiled(folder), "golden/inputs.npy", "golden/outputs.npy"], folder)
    assert ran.stdout == f"vector 7, output 1: {expected[7, 1] - 1}, expected {expected[7, 1]}\n"


def test_vectors_from_a_file_are_streamed_and_real_ones_are_quantized(tmp_path):
    graph = random_graph(3, [5, 4, 2], "4", input_bits=3, input_signed=True)
    x = np.concatenate([np.arange(-10, 10) / 8, np.random.default_rng(0).normal(0, 1, 3480)]).astype(np.float32)
    np.save(tmp_path / "x.npy", x.reshape(-1, 5))
    mapped = read_array(tmp_path / "x.npy")
    assert isinstance(mapped, np.memmap)
    folder = written(graph, tmp_path, mapped)
    integers = np.clip(np.rint(x.astype(np.float64) * 4), -4, 3).astype(np.int64).reshape(-1, 5)
    assert np.array_equal(np.load(folder / "golden/inputs.npy"), integers)
    assert np.array_equal(np.load(folder / "golden/outputs.npy"), graph.run(integers))
    program = compiled(folder)
    assert run([program, "x.npy", "golden/outputs.npy"], folder).stdout == "700 vectors: all outputs equal\n"
    assert run([program, "x.npy", "--to", "y.npy"], folder).returncode == 0
    assert np.array_equal(np.load(folder / "y.npy"), graph.run(integers))


def test_the_program_refuses_what_is_no_input(tmp_path):
    graph = random_graph(0, [4, 2], "4")
    folder = written(graph, tmp_path, vectors(graph))
    program = compiled(folder)
    np.save(folder / "wide.npy", np.full((2, 4), 99))
    np.save(folder / "other.npy", np.zeros((2, 5), np.int8))
    np.save(folder / "nan.npy", np.full((2, 4), np.nan, np.float32))
    np.save(folder / "double.npy", np.zeros((2, 4)))
    (folder / "cut.npy").write_bytes((folder / "golden/inputs.npy").read_bytes()[:-3])
    (folder / "text.npy").write_text("nothing")
    np.save(folder / "empty.npy", np.zeros((0, 4), np.int8))
    for name, message in {
        "wide": "has a value beyond the input's type", "other": "has vectors of another length than the network",
        "nan": "holds NaN", "double": "is neither of integers nor of float32", "cut": "ends before its last vector",
        "text": "is no .npy file", "none": "cannot be read", "empty": "has no vectors",
    }.items():  # fmt: skip
        ran = run([program, f"{name}.npy", "--to", "y.npy"], folder)
        assert (ran.returncode, ran.stderr) == (2, f"{name}.npy: {message}\n")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 5)), "x has shape (3, 5), 5 features a sample: this network takes (samples, 4)"),
        (np.zeros((0, 4)), "x has shape (0, 4): there are no samples in it"),
        (np.zeros((2, 4), np.complex64), "x holds complex64 values: features must be numbers"),
        (np.array([["a"] * 4]), "x holds text: features must be numbers"),
        (np.array([[0, 1, 2, 16]]), "x holds integers 0..16, but the input is ufixed<4,0>: 0..15; give real values as"),
        (np.full((1, 4), np.nan), "x has 4 values not finite in float32, the first in sample 0, "),
        (np.array([[0, 0, np.inf, 0]]), "sample 0, feature 2: inf; remove or fill these samples"),
        (np.repeat([[0.5], [1e300]], [1500, 1], axis=0).repeat(4, 1), "in sample 1500, feature 0: 1e+300; remove or"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(tmp_path, x, message):
    with pytest.raises(DataError, match=re.escape(message)):
        write_vectors(tmp_path, random_graph(0, [4, 2], "4"), x, "x")


def test_refused_vectors_leave_no_folder(tmp_path):
    graph, place = random_graph(0, [4, 2], "4"), tmp_path / "mine-c"
    wrong = np.full((3, 4), np.nan, np.float32)
    with pytest.raises(DataError, match="not finite"):
        write_project(graph, "net", wrong, place, "a test")
    assert not place.exists()
    place.mkdir()
    with pytest.raises(DataError, match="not finite"):
        write_project(graph, "net", wrong, place, "a test")
    assert list(tmp_path.iterdir()) == [place], "one that was there stays"


def test_refused_vectors_leave_the_earlier_ones_and_these_may_be_given_again(tmp_path):
    graph = random_graph(0, [4, 2], "4")
    write_project(graph, "net", vectors(graph, 1500), tmp_path, "a test")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    wrong = np.zeros((1500, 4), np.float32)
    wrong[1400, 2] = np.nan  # beyond the first piece
    with pytest.raises(DataError, match="the first in sample 1400, feature 2: nan"):
        write_project(graph, "other", wrong, tmp_path, "a test")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    write_vectors(tmp_path, graph, read_array(tmp_path / GOLDEN_INPUTS))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["golden"]


@pytest.mark.parametrize("kind", [FixedType(True, 4, -2), FixedType(True, 40, 3)])
def test_the_constants_of_the_header_stand_in_any_expression(tmp_path, kind):
    """Negative ones are in parentheses."""
    first = Node("x", Op.INPUT, None, (2,), kind)
    text = project(Graph((first,)), "net", "a test")["net.h"]
    for name in ("INPUT_FRAC", "OUTPUT_FRAC", "INPUT_LOW", "INPUT_HIGH"):
        assert re.search(rf"#define net_{name} (\(.+\)|\w+|INT64_C\(\d+\))$", text, re.MULTILINE), name


def test_the_header_alone_is_cpp_too_and_two_networks_live_in_one_program(tmp_path):
    for name in ("one", "2nd"):
        write_files(tmp_path, project(random_image_graph(5), name, "a test"))
    uses = '#include "one.h"\n#include "net_2nd.h"\nint main() { return one_INPUTS != net_2nd_INPUTS; }\n'
    (tmp_path / "both.c").write_text(uses.replace("main()", "main(void)"))
    (tmp_path / "both.cpp").write_text(uses)
    assert run(["gcc", *STRICT, "-o", "both", "both.c"], tmp_path).stderr == ""
    assert run(["g++", "-Wall", "-Wextra", "-Werror", "-o", "both", "both.cpp"], tmp_path).stderr == ""
    assert run(["./both"], tmp_path).returncode == 0
