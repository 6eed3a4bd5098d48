"""Random QKeras networks, held against every level of hardware; a failing one is reduced and kept as JSON.

A :class:`Network` is plain data: all a model, its hardware and its input vectors are made from.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from codesign.architecture import Hardware
from codesign.errors import ModelError
from codesign.target import Part
from hw.design import design
from hw.graph import Graph
from hw.measure.delays import DelayModel
from hw.measure.verilator import simulate

PART, CLOCK = "xc7z020clg400-1", 100.0
DELAYS = DelayModel.for_part(Part(PART, "xc7", "-1", {}))
SCALES = 4  # of the columns of a kernel whose scales QKeras finds: 1, 1/2, 1/4, 1/8
PLAIN: tuple[dict[str, Any], ...] = (
    {"bias": None, "bias_quantizer": None}, {"norms": []}, {"alpha": 1.0}, {"activation": None}, {"relu": False},
    {"dropout": False}, {"written": "object"},
)  # fmt: skip
"""What a failing layer is tried without."""
REGRESSIONS = Path(__file__).parent / "hw" / "regressions"


@dataclass(frozen=True)
class Layer:
    """A QDense with what follows it. ``norms``: gamma, beta, mean, variance and (last) epsilon of each.

    ``alpha`` None or "auto_po2" lets QKeras find a scale for each column, which then are drawn with a few different.
    """

    trits: list[list[int]]
    kernel: str = "ternary"
    alpha: float | str | None = 1.0
    bias: list[float] | None = None
    bias_quantizer: str | None = None
    norms: list[list[Any]] = field(default_factory=list)
    dropout: bool = False
    relu: bool = False  # a plain one, before the activation
    activation: str | None = None
    written: str = "object"  # how what comes first of these two is given: "object", "string" or as an "argument"

    @property
    def units(self) -> int:
        return len(self.trits[0])


@dataclass(frozen=True)
class Network:
    """``canonical``: of the form our own export gives, so that hls4ml's C simulation must agree as well."""

    seed: int
    input_quantizer: str
    layers: list[Layer]
    mode: str
    folding: int
    period_ns: float
    vectors: int
    canonical: bool = False
    sequential: bool = False

    @property
    def inputs(self) -> int:
        return len(self.layers[0].trits)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Network:
        values = json.loads(text)
        return cls(**{**values, "layers": [Layer(**layer) for layer in values["layers"]]})


def build(network: Network) -> Any:
    """The Keras model."""
    from quant.tf import keras, qkeras

    layers = [qkeras.QActivation(qkeras.get_quantizer(network.input_quantizer), name="input_quant")]
    for i, layer in enumerate(network.layers):
        layers += _keras_layers(i, layer)
    x = keras.layers.Input((network.inputs,), name="x")
    if network.sequential:
        model = keras.Sequential([x, *layers])
    else:
        y = x
        for keras_layer in layers:
            y = keras_layer(y)
        model = keras.Model(x, y)
    for i, layer in enumerate(network.layers):
        kernel = _kernel(layer)
        model.get_layer(f"dense_{i}").set_weights([kernel] if layer.bias is None else [kernel, np.array(layer.bias)])
        for n, norm in enumerate(layer.norms):
            model.get_layer(f"norm_{i}_{n}").set_weights([np.array(values, np.float32) for values in norm[:4]])
    return model


def _keras_layers(i: int, layer: Layer) -> list[Any]:
    from quant.tf import keras, qkeras

    threshold = {"threshold": 0.5} if layer.kernel == "ternary" and isinstance(layer.alpha, float) else {}
    steps = (["relu"] if layer.relu else []) + ([layer.activation] if layer.activation else [])
    argument = steps.pop(0) if steps and layer.written == "argument" else None
    dense = qkeras.QDense(
        layer.units,
        kernel_quantizer=getattr(qkeras, layer.kernel)(alpha=layer.alpha, **threshold),
        kernel_initializer="zeros",
        use_bias=layer.bias is not None,
        bias_quantizer=qkeras.get_quantizer(layer.bias_quantizer) if layer.bias_quantizer else None,
        activation=qkeras.get_quantizer(argument) if argument not in (None, "relu") else argument,
        name=f"dense_{i}",
    )
    norms = [
        keras.layers.BatchNormalization(epsilon=norm[4], name=f"norm_{i}_{n}") for n, norm in enumerate(layer.norms)
    ]
    after = [keras.layers.Dropout(0.5, name=f"dropout_{i}")] if layer.dropout else []
    for step in steps:
        if step == "relu":
            after.append(keras.layers.Activation("relu", name=f"relu_{i}"))
        else:
            given = step if layer.written == "string" else qkeras.get_quantizer(step)
            after.append(qkeras.QActivation(given, name=f"act_{i}"))
    return [dense, *norms, *after]


def _kernel(layer: Layer) -> Any:
    trits = np.array(layer.trits, np.float32)
    return trits if isinstance(layer.alpha, float) else np.ldexp(trits, -(np.arange(layer.units) % SCALES))


def inputs(network: Network, graph: Graph) -> Any:
    """Input integers (vectors, inputs): random, lowest, highest, and the extremes of the first layer's sums."""
    kind = graph.input.type
    x = np.random.default_rng(network.seed).integers(kind.low, kind.high + 1, (network.vectors, network.inputs))
    ends = [np.full((1, network.inputs), end) for end in (kind.low, kind.high)]
    trits = np.array(network.layers[0].trits).T[:8]
    ends += [np.where(trits > 0, kind.high, kind.low), np.where(trits > 0, kind.low, kind.high)]
    return np.concatenate([*ends, x])[: network.vectors]


def check(network: Network, folder: Path) -> None:
    """QKeras = Graph = simulated RTL, and = hls4ml's C simulation of a canonical network; raises where not."""
    from hw.hls4ml_flow import c_simulation, parse
    from hw.lower import lower, self_check
    from quant.tf import forget_models

    model = build(network)
    graph = lower(parse(model, PART, CLOCK))
    x = inputs(network, graph)
    self_check(model, graph, x)
    expected = graph.run(x)
    real = graph.output.type.to_real(expected)
    assert np.array_equal(model(graph.input.type.to_real(x).astype(np.float32), training=False).numpy(), real)
    built = design(graph, Hardware(network.mode, network.folding), DELAYS, network.period_ns)
    simulate(built, x, expected, folder / "rtl", timeout_s=300)
    if network.canonical:
        reals = graph.input.type.to_real(x).astype(np.float32)
        assert np.array_equal(c_simulation(model, reals, folder / "hls", PART, CLOCK), real), "C simulation differs"
    forget_models()


def failure(network: Network, folder: Path) -> Exception | None:
    """What :func:`check` raises in a new folder inside ``folder``."""
    try:
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            check(network, Path(fresh))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
        return error
    return None


def reduce(network: Network, fails: Callable[[Network], bool], attempts: int = 80) -> Network:
    """A smaller network that still fails, by taking away what it fails without."""
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(network):
            if attempts == 0:
                return network
            attempts -= 1
            if fails(smaller):
                network, progress = smaller, True
                break
    return network


def checked(network: Network, folder: Path) -> None:
    """Check; where it fails, reduce, keep the small network as a regression, and raise."""
    error = failure(network, folder)
    if error is None:
        return

    def fails(smaller: Network) -> bool:
        found = failure(smaller, folder)
        return type(found) is type(error) and not (isinstance(found, ModelError) and str(found) != str(error))

    small = reduce(network, fails)
    REGRESSIONS.mkdir(exist_ok=True)
    path = REGRESSIONS / f"seed-{network.seed}.json"
    path.write_text(small.to_json() + "\n")
    raise AssertionError(f"seed {network.seed} fails, reduced in {path}: {error!r}") from error


def _smaller(network: Network) -> Iterator[Network]:
    layers = network.layers
    for count in range(1, len(layers)):
        yield dataclasses.replace(network, layers=layers[:count])
        yield dataclasses.replace(network, layers=layers[count:])
    for index, layer in enumerate(layers):
        for keep in _halves(layer.units):
            narrowed = [*layers[:index], _columns(layer, keep), *layers[index + 1 :]]
            if index + 1 < len(layers):
                narrowed[index + 1] = _rows(layers[index + 1], keep)
            yield dataclasses.replace(network, layers=narrowed)
    for keep in _halves(network.inputs):
        yield dataclasses.replace(network, layers=[_rows(layers[0], keep), *layers[1:]])
    for index, layer in enumerate(layers):
        for plain in PLAIN:
            if any(getattr(layer, key) != value for key, value in plain.items()):
                plainer = dataclasses.replace(layer, **plain)
                yield dataclasses.replace(network, layers=[*layers[:index], plainer, *layers[index + 1 :]])
    if network.sequential:
        yield dataclasses.replace(network, sequential=False)
    if network.vectors > 1:
        yield dataclasses.replace(network, vectors=network.vectors // 2)


def _halves(count: int) -> list[range]:
    """The parts of ``count`` elements that may be enough: halves, then all but a quarter."""
    if count < 2:
        return []
    half, quarter = count // 2, max(1, count // 4)
    return [range(half), range(half, count), range(quarter, count), range(count - quarter)]


def _rows(layer: Layer, keep: range) -> Layer:
    return dataclasses.replace(layer, trits=[layer.trits[row] for row in keep])


def _columns(layer: Layer, keep: range) -> Layer:
    def kept(values: list[Any]) -> list[Any]:
        return [values[column] for column in keep]

    return dataclasses.replace(
        layer,
        trits=[kept(row) for row in layer.trits],
        bias=layer.bias and kept(layer.bias),
        norms=[[*(kept(values) for values in norm[:4]), norm[4]] for norm in layer.norms],
    )
