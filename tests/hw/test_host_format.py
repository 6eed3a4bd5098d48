"""Host format: packing against the hardware's, rounding against the fixed type, and the file on its own."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hw import host_format
from hw.graph import FixedType
from hw.host_format import Elements, HostFormat
from hw.measure.verilator import pack

FILE = Path(host_format.__file__)
LOGITS = Elements(10, 16, True, 3)


def layout(bits=5, signed=True, frac=4, size=37, word_bits=64, output=LOGITS) -> HostFormat:
    return HostFormat(word_bits, Elements(size, bits, signed, frac), output)


@pytest.mark.parametrize("word_bits", [32, 64])
@pytest.mark.parametrize(("bits", "signed"), [(1, False), (2, True), (7, False), (8, True), (11, True), (32, True)])
def test_words_are_those_of_the_flat_vector(bits: int, signed: bool, word_bits: int) -> None:
    form = layout(bits, signed, word_bits=word_bits)
    x = np.random.default_rng(bits).integers(form.input.low, form.input.high + 1, (20, 37))
    x[0], x[1] = form.input.low, form.input.high
    words = form.encode(x)
    assert words.dtype.itemsize * 8 == word_bits
    assert words.shape == (20, form.input_words)
    assert form.input_words == -(-37 * bits // word_bits)
    flat = pack(x, bits).tobytes()
    stride = len(flat) // 20
    for index, row in enumerate(words):
        assert row.tobytes()[:stride] == flat[index * stride : (index + 1) * stride]
        assert not any(row.tobytes()[stride:])


def test_element_0_is_lowest_and_bytes_are_little_endian() -> None:
    assert layout(4, False, 0, 3, 32).encode(np.array([[1, 2, 3]])).tobytes() == bytes([0x21, 0x03, 0, 0])


@pytest.mark.parametrize(
    ("beats", "channels", "bits", "per_word", "words"),
    [
        (36, 1, 4, 6, 6),  # eight would fit, six divide the image
        (49, 1, 8, 1, 49),
        (784, 1, 8, 4, 196),
        (10, 3, 8, 1, 10),  # 24 bits of 32
        (6, 9, 4, 1, 12),  # a pixel fills two words
        (2, 1, 16, 2, 1),
    ],
)
def test_words_hold_whole_pixels_or_pixels_whole_words(beats, channels, bits, per_word, words) -> None:
    form = HostFormat(32, Elements(beats * channels, bits, False, 0, beats), LOGITS)
    assert (form.beats_per_word, form.input_words) == (per_word, words)
    x = np.random.default_rng(beats).integers(0, 1 << bits, (5, beats * channels))
    encoded = form.encode(x)
    assert encoded.shape == (5, words)
    for row, image in zip(encoded, x, strict=True):
        groups = image.reshape(beats // per_word, -1)
        each = words // len(groups)
        for index, group in enumerate(groups):
            number = sum(int(element) << place * bits for place, element in enumerate(group))
            assert int.from_bytes(row[index * each : (index + 1) * each].tobytes(), "little") == number
    assert HostFormat.from_json(json.loads(json.dumps(form.to_json()))) == form


@pytest.mark.parametrize("order", ["C", "F"])
def test_encode_takes_any_integers_in_any_order(order: str) -> None:
    form = layout()
    x = np.random.default_rng(1).integers(-16, 16, (9, 37))
    assert np.array_equal(form.encode(np.asarray(x, np.int8, order=order)), form.encode(x))
    assert form.encode(x[:0]).shape == (0, form.input_words)


@pytest.mark.parametrize("word_bits", [32, 64])
@pytest.mark.parametrize(("bits", "signed"), [(8, True), (8, False), (16, True), (32, True)])
def test_decode_reads_elements_and_leaves_the_padding(bits: int, signed: bool, word_bits: int) -> None:
    form = layout(word_bits=word_bits, output=Elements(5, bits, signed, 2))
    kind = f"<{'i' if signed else 'u'}{bits // 8}"
    limits = np.iinfo(kind)
    y = np.random.default_rng(bits).integers(limits.min, limits.max, (6, 5), endpoint=True)
    frames = b"".join(row.tobytes().ljust(form.output_words * word_bits // 8, b"\xaa") for row in y.astype(kind))
    words = np.frombuffer(frames, f"<u{word_bits // 8}").reshape(6, -1)
    assert words.shape[1] == form.output_words
    assert np.array_equal(form.decode(words), y)


@pytest.mark.parametrize(("bits", "signed", "frac"), [(4, False, 4), (6, True, 3), (3, False, -1), (8, True, 9)])
def test_quantize_rounds_half_to_even_and_saturates(bits: int, signed: bool, frac: int) -> None:
    form = layout(bits, signed, frac)
    kind = FixedType(signed, bits, frac)
    assert (form.input.low, form.input.high) == (kind.low, kind.high)
    quarters = np.arange(4 * kind.low - 9, 4 * kind.high + 10)
    wanted = [min(max(round(int(value) / 4), kind.low), kind.high) for value in quarters]
    assert form.quantize(quarters * 2.0 ** (-frac - 2)).tolist() == wanted
    assert form.quantize(np.float32([np.inf, -np.inf, 3e38])).tolist() == [kind.high, kind.low, kind.high]
    integers = np.arange(kind.low, kind.high + 1)
    assert np.array_equal(form.quantize(kind.to_real(integers)), integers)


def test_outputs_are_scaled() -> None:
    assert layout().to_real(np.array([[-8, 1]])).tolist() == [[-1.0, 0.125]]


def test_json_round_trips() -> None:
    form = layout()
    values = json.loads(json.dumps(form.to_json()))
    assert HostFormat.from_json(values) == form
    assert (values["format"], values["byte_order"]) == (1, "little")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2, byte order 'little' is not what this version reads: format 1, byte order 'little'"),
        ({"byte_order": "big"}, "format 1, byte order 'big' is not what this version reads"),
        ({"word_bits": 48}, "word_bits is 48; it is 32 or 64"),
        ({"speed": 1}, "this is not a host format: "),
        ({"input": {"size": 3}}, "this is not a host format: "),
        (
            {"input": {"size": 3, "bits": 33, "signed": True, "frac": 0}},
            "3 elements of 33 bits cannot be; 1 to 32 bits",
        ),
        ({"input": {"size": 3, "bits": 3, "signed": True, "frac": 0, "beats": 2}}, "3 elements has no 2 equal beats"),
        (
            {"output": {"size": 4, "bits": 8, "signed": True, "frac": 0, "beats": 2}},
            "output frames have 2 beats; they have 1",
        ),
        ({"output": {"size": 3, "bits": 9, "signed": True, "frac": 0}}, "output elements have 9 bits; they have 8, 16"),
    ],
)
def test_another_format_is_refused(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        HostFormat.from_json({**layout().to_json(), **change})


@pytest.mark.parametrize(
    ("call", "values", "said"),
    [
        ("encode", np.zeros((2, 36), int), "inputs must be integers of shape (n, 37), not int64 (2, 36)"),
        ("encode", np.zeros((2, 37)), "inputs must be integers of shape (n, 37), not float64 (2, 37)"),
        ("encode", np.full((1, 37), 16), "inputs 16 to 16 exceed -16 to 15"),
        ("decode", np.zeros((2, 3), np.uint32), "output words must be <u8 of shape (n, 3), not uint32 (2, 3)"),
        ("decode", np.zeros((2, 2), np.uint64), "output words must be <u8 of shape (n, 3), not uint64 (2, 2)"),
        ("quantize", np.array([0.5, np.nan]), "1 input values are NaN"),
    ],
)
def test_wrong_values_are_refused(call: str, values: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        getattr(layout(), call)(values)


def test_the_file_needs_numpy_and_nothing_else(tmp_path: Path) -> None:
    tree = ast.parse(FILE.read_text(), feature_version=(3, 10))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names == {"__future__", "collections.abc", "dataclasses", "numpy", "numpy.typing", "typing"}
    (tmp_path / "alone.py").write_text(FILE.read_text())
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import alone; "
        "form = alone.HostFormat(32, alone.Elements(2, 4, False, 4), alone.Elements(1, 8, True, 0)); "
        "print(form.encode(form.quantize(alone.np.array([[0.5, 9.0]]))).tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == ["f8000000"]
