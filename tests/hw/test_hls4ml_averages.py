"""Average pooling through hls4ml: with the types that are given, its C simulation is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fuzz import CLOCK, PART
from qkeras_images import conv, dense, drawn, layer, model, relu
from qkeras_layers import act, lowered, q

from boards.catalogue import load_target
from hw.hls4ml_averages import average_types
from hw.hls4ml_differences import known_differences
from hw.implement import hold_c_simulation, random_vectors


def quantized(text: str) -> Any:
    return act(None, q(text))


def branches(shape: tuple[int, ...], *chains: tuple[Any, ...]) -> Any:
    """A model that gives what each chain of layers makes of its input, one behind the other."""

    def joined(x: Any) -> Any:
        outputs = []
        for chain in chains:
            y = x
            for one in chain:
                y = one(y)
            outputs.append(layer("Flatten")(y))
        first, *others = outputs
        for other in others:
            first = layer("Concatenate", axis=1)([first, other])
        return first

    return drawn(model(shape, joined, bits="quantized_bits(4,1,alpha=1)"))


def over_images() -> Any:
    def average(window: Any, **options: Any) -> Any:
        return layer("AveragePooling2D", window, **options)

    return branches(
        (6, 6, 2),
        (average(2),),
        (average((1, 2)), average((2, 1)), relu("twice", 4, 1)),
        (average(2), quantized("ternary(alpha=1,threshold=0.28)")),
        (conv("c", 3), average(2), layer("Flatten"), dense("d", 3)),
        (average(3), relu("coarse", 4, 1)),
        (average(3), quantized("quantized_bits(8,1,alpha=1)")),
        (average(3, strides=1), layer("MaxPooling2D", 2), quantized("ternary(alpha=1,threshold=0.28)")),
        (average(3), layer("ZeroPadding2D", 1), quantized("binary(alpha=1)")),
        (layer("GlobalAveragePooling2D"), relu("global", 5, 0)),
        (conv("e", 3), layer("GlobalAveragePooling2D")),
        (lambda x: layer("Concatenate", axis=3)([x, x]), average(2), relu("joined", 3, 1)),
    )


def over_sequences() -> Any:
    return branches(
        (12, 3),
        (layer("AveragePooling1D", 2),),
        (layer("AveragePooling1D", 4, 1), relu("four", 3, 1)),
        (layer("AveragePooling1D", 5), relu("five", 3, 1)),
        (layer("GlobalAveragePooling1D"), quantized("ternary(alpha=1,threshold=0.1)")),
    )


@pytest.mark.parametrize("make", [over_images, pytest.param(over_sequences, marks=pytest.mark.slow)])
def test_the_c_simulation_is_exact_and_nothing_is_said_of_it(make: Any, tmp_path: Path) -> None:
    network = make()
    graph = lowered(network)
    assert known_differences(network) == []
    found = hold_c_simulation(network, graph, random_vectors(graph, 300, 1), tmp_path, load_target(None, PART, CLOCK))
    assert (found.value, found.details) == (0, {"vectors": 300})


def test_types_hold_sums_and_means_and_no_more() -> None:
    """Of 4 bits, 2 of them fractional: 4 values need 2 more; with 9 the half step is 2**-4, 4 bits finer."""
    network = branches((6, 6, 2), (layer("AveragePooling2D", 2, name="four"),))
    assert average_types("four", lowered(network)) == {"result": "fixed<6,2>", "accum": "fixed<8,4>"}
    network = branches((6, 6, 2), (layer("AveragePooling2D", 3, name="nine"), quantized("quantized_bits(5,1,alpha=1)")))
    assert average_types("nine", lowered(network)) == dict.fromkeys(("result", "accum"), "fixed<14,6>")
