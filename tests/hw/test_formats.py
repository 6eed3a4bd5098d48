"""Models that are not ternary, rounded to formats that the user chose, and how far that takes them from themselves."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz import CLOCK, PART

from codesign.errors import InputError, ModelError
from hw.conversion import convert
from hw.formats import Formats
from hw.graph import FixedType
from hw.operations import Op

FINE = ("input=fixed<16,4>", "weight=fixed<20,4>", "result=fixed<24,10>")


def lowered(model, *texts):
    from hw.hls4ml_flow import parse
    from hw.lower import lower

    formats = Formats.parse(texts)
    return lower(parse(model, PART, CLOCK, formats.input), formats)


def floating():
    """Convolution, average of nine, batch normalization with any scale, dense layers: none of it ternary."""
    from quant.tf import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    x = inputs = layers.Input((8, 8, 2), name="x")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.AveragePooling2D(3, name="average")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(6, name="hidden")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation("relu", name="relu")(x)
    model = keras.Model(inputs, layers.Dense(3, name="out")(x), name="floating")
    gamma, beta, mean, variance = np.random.default_rng(0).normal(0, 1, (4, 6))
    model.get_layer("norm").set_weights([gamma, beta, mean, variance**2])
    return model


def samples(count=50):
    return np.random.default_rng(1).uniform(-2, 2, (count, 8, 8, 2)).astype(np.float32)


def test_fine_formats_come_close_and_coarse_ones_do_not():
    model, x = floating(), samples()
    labels = np.asarray(model(x)).argmax(axis=1)
    texts = {width: (FINE[0], f"weight=fixed<{width},4>", FINE[2]) for width in (20, 6)}
    found = {width: convert(model, lowered(model, *chosen), x, labels) for width, chosen in texts.items()}
    fine, coarse = found[20], found[6]
    assert [one.layer for one in fine.layers] == ["x", "conv", "average", "flat", "hidden", "norm", "relu", "out"]
    assert fine.accuracy == fine.layers[-1].accuracy == 1.0
    assert fine.layers[-1].largest_error < 0.01
    assert fine.layers[-1].signal_to_noise_db > 50
    assert coarse.layers[-1].signal_to_noise_db < 30
    assert fine.layers[-1].format == "fixed<24,10>"


def test_a_clipped_scale_shows_in_its_own_layer():
    model, x = floating(), samples()
    model.get_layer("norm").set_weights([np.full(6, value) for value in (40.0, 0.0, 0.0, 1.0)])
    found = {one.layer: one for one in convert(model, lowered(model, *FINE), x, None).layers}
    assert found["hidden"].signal_to_noise_db > 50
    assert found["norm"].signal_to_noise_db < 10  # a scale of 40 in a format up to 8
    better = convert(model, lowered(model, *FINE, "norm.weight=fixed<20,8>"), x, None)
    assert better.layers[5].signal_to_noise_db > 50
    assert better.layers[5].accuracy is None


def test_weights_are_rounded_to_even_and_clipped():
    model = floating()
    kernel = np.zeros((6, 3), np.float32)
    kernel[:, 0] = [0.125, 0.375, 1.9, -5.0, -0.125, 0.25]
    model.get_layer("out").set_weights([kernel, np.array([0.1, -0.1, 100.0])])
    graph = lowered(model, *FINE, "out.weight=fixed<4,2>")
    out = next(node for node in graph if node.name == "out")
    source = next(node for node in graph if node.name == out.source)
    assert out.tensors["trits"][:, 0].tolist() == [0, 2, 7, -8, 0, 1]
    assert out.type.frac == source.type.frac + 2
    assert out.tensors["bias"].tolist() == [round(value * 2**out.type.frac) for value in (0.1, -0.1, 100.0)]


def test_clipped_weights_are_counted_and_the_largest_is_told():
    """Of kernels, scales and the factor of an average; what rounds to the format's end is not beyond it."""
    from hw.hls4ml_flow import parse
    from hw.lower import lower

    model = floating()
    kernel = np.zeros((6, 3), np.float32)
    kernel[:4, 0] = [2.33, -2.1, -2.0, 1.98]
    model.get_layer("out").set_weights([kernel, np.zeros(3)])
    model.get_layer("norm").set_weights([np.array([1, 40.0, 1, -3.0, 1, 1]), *np.zeros((2, 6)), np.ones(6)])
    texts = (FINE[0], "weight=fixed<8,2>", "conv.weight=fixed<20,4>", "average.weight=ufixed<6,-4>", FINE[2])
    formats, clipped = Formats.parse(texts), {}
    graph = lower(parse(model, PART, CLOCK, formats.input), formats, clipped)
    assert {name: (one.count, one.largest) for name, one in clipped.items()} == {
        "average": (1, 1 / 9), "norm": (2, pytest.approx(40 / 1.001**0.5)), "out": (2, pytest.approx(2.33)),
    }  # fmt: skip
    assert clipped["out"].words() == ("2 weights clipped to fixed<8,2>, which goes from -2 to 1.9844, the largest 2.33")
    found = {one.layer: one.to_json() for one in convert(model, graph, samples(), None, clipped).layers}
    told = {name: (one["clipped"], one["largest_clipped"]) for name, one in found.items() if one["clipped"]}
    assert told == {name: (one.count, one.largest) for name, one in clipped.items()}
    assert (found["conv"]["clipped"], found["conv"]["largest_clipped"]) == (0, None)


def test_what_is_ternary_stays_exact():
    from qkeras_layers import lowered as exact
    from user_models import small

    model = small()
    assert lowered(model, "weight=fixed<8,2>", "result=fixed<8,3>").digest() == exact(model).digest()
    named = lowered(model, "dense.result=fixed<5,3>")
    assert [node.name for node in named if node.op is Op.QUANTIZE] == ["input_quant", "dense_result", "act"]
    assert next(node for node in named if node.name == "dense_result").type == FixedType(True, 5, 2)


def test_a_ternary_kernel_keeps_its_trits_where_its_bias_or_scale_is_rounded():
    from quant.tf import keras, qkeras

    layers = keras.layers
    x = inputs = layers.Input((5,), name="x")
    x = qkeras.QActivation("quantized_bits(4,0,alpha=1)", name="q")(x)
    x = qkeras.QDense(3, kernel_quantizer=qkeras.ternary(alpha=1), name="dense")(x)
    x = layers.BatchNormalization(name="norm")(x)
    model = keras.Model(inputs, x)
    kernel = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (5, 3))
    model.get_layer("dense").set_weights([kernel, np.array([0.1, 0.2, -0.3])])
    model.get_layer("norm").set_weights([np.array(v) for v in ([1.5, -0.7, 0.2], [0.1] * 3, [0.0] * 3, [1.0] * 3)])
    with pytest.raises(ModelError, match="needs .* bits|scales channel|is no multiple|too"):
        lowered(model)
    graph = lowered(model, "weight=fixed<16,4>")
    assert np.array_equal(next(node for node in graph if node.op is Op.DENSE).tensors["trits"], kernel)
    x = np.random.default_rng(1).uniform(-1, 1, (30, 5)).astype(np.float32)
    x = graph.input.type.to_real(graph.input.type.nearest(x)).astype(np.float32)
    assert convert(model, graph, x, None).layers[-1].largest_error < 1e-3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weight", "--format 'weight' is none; write weight=fixed<8,2> or dense_1.result=fixed<16,6>"),
        ("weight=fixed<8>", "--format 'weight=fixed<8>' is none; write"),
        ("weight=fixed<1,1>", r"--format 'weight=fixed<1,1>' has 1 bits; give 2 to 32"),
        ("weight=ufixed<40,1>", r"--format 'weight=ufixed<40,1>' has 40 bits; give 1 to 32"),
        ("weight=fixed<8,-500>", r"--format 'weight=fixed<8,-500>' has -500 before the point; give -32 to 32"),
        ("weight=fixed<8,200000>", r"--format 'weight=fixed<8,200000>' has 200000 before the point; give -32 to 32"),
        ("result=fixed<9,2>", r"--format 'result=fixed<9,2>' is the second one of 'result'; give one"),
    ],
)
def test_texts_that_are_no_format(text, message):
    with pytest.raises(InputError, match=message):
        Formats.parse(["result=fixed<8,2>", text])


def test_a_format_of_no_layer():
    with pytest.raises(
        InputError, match=r"--format 'dens.weight' is of nothing in the model; did you mean dense.weight"
    ):
        Formats.parse(["dens.weight=fixed<8,2>"]).require_layers(["x", "dense"], [])
    Formats.parse(["pool.weight=fixed<8,2>"]).require_layers(["dense"], ["pool"])
    with pytest.raises(
        InputError, match=r"'pool.result' is of nothing in the model; did you mean result or pool.weight"
    ):
        Formats.parse(["pool.result=fixed<8,2>"]).require_layers(["dense"], ["pool"])


def test_an_input_that_the_model_quantizes_has_its_format():
    from user_models import small

    with pytest.raises(ModelError, match="layer 'input_quant' quantizes the input already; leave out the format of"):
        lowered(small(), "input=fixed<8,1>")


def test_sums_that_grow_beyond_64_bits_are_refused():
    with pytest.raises(ModelError, match=r"layer 'hidden' would need sums of \d+ bits; give what it reads fewer with"):
        lowered(floating(), "input=fixed<16,4>", "weight=fixed<20,4>")
