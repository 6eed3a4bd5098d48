"""Small QKeras models over images: the layers as users write them, by one name each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from qkeras_layers import act, q

Block = Callable[[Any], Any]


def conv(name: str, filters: int, kernel: Any = 3, rank: int = 2, **arguments: Any) -> Any:
    from quant.tf import qkeras

    options = {"use_bias": False, "kernel_quantizer": q("ternary(alpha=1,threshold=0.5)")} | arguments
    return getattr(qkeras, f"QConv{rank}D")(filters, kernel, name=name, **options)


def depthwise(name: str, kernel: Any = 3, **arguments: Any) -> Any:
    from quant.tf import qkeras

    quantizer = q("ternary(alpha=1,threshold=0.5)")
    return qkeras.QDepthwiseConv2D(kernel, depthwise_quantizer=quantizer, use_bias=False, name=name, **arguments)


def dense(name: str, units: int, **arguments: Any) -> Any:
    from quant.tf import qkeras

    options = {"use_bias": False, "kernel_quantizer": q("ternary(alpha=1,threshold=0.5)")} | arguments
    return qkeras.QDense(units, name=name, **options)


def relu(name: str, bits: int = 3, integer: int = 2) -> Any:
    return act(name, q(f"quantized_relu({bits},{integer})"))


def layer(kind: str, *arguments: Any, **options: Any) -> Any:
    from quant.tf import keras

    return getattr(keras.layers, kind)(*arguments, **options)


def model(shape: tuple[int, ...], *layers: Block, bits: str = "quantized_bits(3,0,keep_negative=0,alpha=1)") -> Any:
    """``layers`` one behind the other; each may be a function that branches."""
    from quant.tf import keras

    x = inputs = keras.layers.Input(shape, name="x")
    x = act("input_quant", q(bits))(x)
    for block in layers:
        x = block(x)
    return keras.Model(inputs, x, name="images")


def drawn(network: Any, seed: int = 0) -> Any:
    """``network`` with random trits (of one output all zero, of one all +1) and small dyadic biases and scales."""
    rng = np.random.default_rng(seed)
    for part in network.layers:
        kind = type(part).__name__
        if kind == "BatchNormalization":
            count = part.gamma.shape[0]
            gamma = rng.choice([0.25, 0.5, -0.5], count)
            part.set_weights([gamma, rng.integers(-9, 10, count) / 16, rng.integers(-3, 4, count), np.ones(count)])
        elif part.get_weights():
            kernel, *bias = part.get_weights()
            kernel = rng.integers(-1, 2, kernel.shape).astype(np.float32)
            if kernel.shape[-1] > 2:
                kernel[..., 0], kernel[..., 1] = 0, 1
            part.set_weights([kernel, *(rng.integers(-9, 10, values.shape) / 2**4 for values in bias)])
    return network


def norm(name: str) -> Any:
    return layer("BatchNormalization", epsilon=0.0, name=name)


def lenet(seed: int = 1, rows: int = 28, activation: str = "ternary(alpha=1,threshold=1.4375)") -> Any:
    """LeNet-5 (LeCun et al., 1998, figure 2) with ternary weights and activations, and max pooling."""
    return drawn(
        model(
            (rows, rows, 1),
            *(
                conv("conv_1", 6, 5, padding="same"),
                act("act_1", q(activation)),
                layer("MaxPooling2D", 2, name="pool_1"),
            ),
            *(conv("conv_2", 16, 5), act("act_2", q(activation)), layer("MaxPooling2D", 2, name="pool_2")),
            layer("Flatten", name="flatten"),
            *(dense("dense_1", 120), act("act_3", q(activation))),
            *(dense("dense_2", 84), act("act_4", q(activation))),
            dense("logits", 10, use_bias=True, bias_quantizer=q("quantized_bits(8,3,alpha=1)")),
        ),
        seed,
    )


def residual(channels: int) -> Block:
    """A ResNet-like block: two convolutions beside the input."""

    def block(x: Any) -> Any:
        y = relu("left_1")(conv("left_conv_1", channels, padding="same")(x))
        y = relu("left_2")(conv("left_conv_2", channels, padding="same")(y))
        return relu("sum_relu", 4, 3)(layer("Add", name="sum")([x, y]))

    return block


def densely(growth: int) -> Block:
    """A DenseNet-like block: what a convolution adds stands beside what it read."""

    def block(x: Any) -> Any:
        y = relu("new_relu", 2, 1)(conv("new_conv", growth, padding="same")(x))
        return layer("Concatenate", name="grown")([x, y])

    return block


def beside_reshaped(join: str, dims: tuple[int, ...], *steps: Block) -> Block:
    """``steps`` behind a reshaping, joined with the same values reshaped alike."""

    def block(x: Any) -> Any:
        y = layer("Reshape", dims, name="left")(x)
        for step in steps:
            y = step(y)
        return layer(join, name="join")([y, layer("Reshape", dims, name="right")(x)])

    return block


# fmt: off
CONSTRUCTS: dict[str, Callable[[], Any]] = {
    "valid": lambda: model((6, 7, 2), conv("c", 4)),
    "same": lambda: model((6, 5, 2), conv("c", 4, padding="same"), relu("a")),
    "strides": lambda: model((8, 9, 1), conv("c", 3, (3, 2), strides=(2, 3), padding="same"), relu("a")),
    "even kernel, same": lambda: model((5, 5, 2), conv("c", 3, 2, padding="same"), relu("a")),
    "one by one": lambda: model((4, 5, 3), conv("c", 4, 1, strides=2), relu("a")),
    "norm and bias": lambda: model(
        (5, 5, 2), conv("c", 4, use_bias=True, bias_quantizer=q("quantized_bits(8,2,alpha=1)")), norm("n"), relu("a")
    ),
    "scaled": lambda: model(
        (5, 5, 2), conv("c", 4, kernel_quantizer=q("ternary(alpha=0.5,threshold=0.25)")), relu("a")
    ),
    "depthwise": lambda: model((6, 6, 4), depthwise("d", padding="same"), norm("n"), relu("a")),
    "depthwise, strides": lambda: model((7, 7, 3), depthwise("d", strides=2), relu("a")),
    "multiplied depthwise": lambda: model((5, 5, 2), depthwise("d", depth_multiplier=2), relu("a")),
    "max pooling": lambda: model(
        (6, 7, 2), conv("c", 3, padding="same"), relu("a"), layer("MaxPooling2D", 2, name="p")
    ),
    "overlapping max pooling": lambda: model((6, 7, 2), layer("MaxPooling2D", 3, 2, "same", name="p")),
    "signed max pooling": lambda: model(
        (5, 5, 2), conv("c", 3), act("a", q("quantized_bits(3,2,alpha=1)")),
        layer("MaxPooling2D", 2, 1, "same", name="p"),
    ),
    "average pooling": lambda: model((6, 7, 2), layer("AveragePooling2D", 2, name="p"), relu("a", 2, 1)),
    "global average": lambda: model(
        (4, 4, 2), conv("c", 3, padding="same"), relu("a"), layer("GlobalAveragePooling2D", name="g"), dense("d", 4)
    ),
    "global max": lambda: model((3, 4, 2), conv("c", 3, 2), layer("GlobalMaxPooling2D", name="g"), relu("a")),
    "windows as large as the image": lambda: model(
        (4, 4, 2), conv("c", 3, padding="same"), act("a", q("quantized_bits(3,2,alpha=1)")),
        lambda x: layer("Concatenate", name="j")([layer("MaxPooling2D", 4, name="m")(x),
                                                  layer("AveragePooling2D", 4, name="p")(x)]), conv("e", 2, 1),
    ),
    "whole sequence": lambda: model(
        (9, 3), conv("c", 4, 3, 1), layer("GlobalAveragePooling1D", name="g"),
        act("a", q("quantized_bits(5,2,alpha=1)")), dense("d", 3),
    ),
    "pooled pixel": lambda: model(
        (4, 4, 2), layer("GlobalAveragePooling2D", name="g"), layer("Reshape", (1, 1, 2), name="r"), conv("c", 3, 1)
    ),
    "flatten": lambda: model((3, 4, 2), conv("c", 3, 2), relu("a"), layer("Flatten", name="f"), dense("d", 5)),
    "reshape": lambda: model((24,), dense("d", 12), relu("a"), layer("Reshape", (2, 3, 2), name="r"), conv("c", 3, 2)),
    "padding": lambda: model((4, 4, 2), layer("ZeroPadding2D", ((1, 2), (0, 3)), name="z"), conv("c", 3), relu("a")),
    "dense on pixels": lambda: model((3, 4, 2), dense("d", 5), relu("a")),
    "sequence": lambda: model(
        (12, 2), conv("c", 4, 3, 1, padding="same", strides=2), relu("a"), layer("MaxPooling1D", 2, name="p"),
        layer("ZeroPadding1D", 1, name="z"), conv("e", 3, 2, 1), layer("GlobalMaxPooling1D", name="g"),
    ),
    "average of a sequence": lambda: model((8, 3), layer("AveragePooling1D", 4, name="p"), conv("c", 2, 1, 1)),
    "mean of nine": lambda: model(
        (7, 8, 2), layer("AveragePooling2D", 3, 2, name="p"), relu("a", 4, 1), conv("c", 3, 2)
    ),
    "mean to a finer step": lambda: model(
        (6, 6, 2), layer("AveragePooling2D", (3, 2), name="p"), act("a", q("quantized_bits(7,0,alpha=1)"))
    ),
    "global mean of 49": lambda: model(
        (7, 7, 2), conv("c", 3, padding="same"), act("a", q("quantized_bits(3,2,alpha=1)")),
        layer("GlobalAveragePooling2D", name="g"), act("b", q("quantized_bits(4,1,alpha=1)")), dense("d", 4),
    ),
    "ternary mean": lambda: model(
        (9, 3), conv("c", 4, 1, 1), layer("AveragePooling1D", 3, name="p"),
        act("a", q("ternary(alpha=1,threshold=0.3333333432674408)")), layer("Flatten", name="f"), dense("d", 3),
    ),
    "sign of the largest mean": lambda: model(
        (6, 6, 2), conv("c", 3, 1), layer("AveragePooling2D", 3, 1, name="p"), layer("MaxPooling2D", 2, name="m"),
        layer("ZeroPadding2D", 1, name="z"), layer("Flatten", name="f"), act("a", q("binary(alpha=1)")),
    ),
    "two readers of a mean": lambda: model(
        (6, 3, 2), layer("AveragePooling2D", 3, name="p"),
        lambda x: layer("Add", name="j")([relu("a", 2, 1)(x), act("b", q("ternary(alpha=1,threshold=0.3)"))(x)]),
    ),
    "residual": lambda: model((5, 6, 3), residual(3), conv("c", 2)),
    "densely": lambda: model((5, 4, 2), conv("c", 3, padding="same"), relu("a"), densely(2), conv("e", 2, 1)),
    "joined vectors": lambda: model(
        (7,), lambda x: layer("Concatenate", name="j")([dense("d", 4)(x), dense("e", 3)(x)]), relu("a"), dense("f", 2)
    ),
    "added vectors of two lattices": lambda: model(
        (7,), lambda x: layer("Add", name="j")([relu("a", 3, 1)(dense("d", 4)(x)), relu("b", 3, 3)(dense("e", 4)(x))])
    ),
    "skip in more pixels": lambda: model(
        (4, 4, 2), conv("c", 2, padding="same"), relu("a"),
        beside_reshaped("Add", (8, 4, 1), conv("d", 1, padding="same"), relu("b")), relu("s", 4, 3), conv("e", 2),
    ),
    "skip in fewer pixels": lambda: model(
        (4, 4, 2), beside_reshaped("Concatenate", (2, 2, 8), conv("c", 8, padding="same"), relu("a")), conv("e", 2, 2)
    ),
    "flattened skip": lambda: model(
        (4, 4, 2), conv("c", 2, padding="same"), relu("a"), beside_reshaped("Add", (32,), dense("d", 32), relu("b"))
    ),
    "skip of other lines": lambda: model(
        (2, 3, 8), beside_reshaped("Add", (4, 4, 3), conv("c", 3, padding="same"), relu("a")), dense("d", 2)
    ),
}
# fmt: on
