"""Design: what is synthesized and simulated. A pure function of Graph, hardware knobs and target makes it."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from codesign.architecture import Hardware, Mode
from codesign.counting import number_of
from codesign.errors import ModelError
from hw.cycles import Network
from hw.emit.argmax import emit_argmax
from hw.emit.folded import emit_folded
from hw.emit.parallel import LayerGraph, Ranges, emit_parallel, layer_graph, sized
from hw.emit.streaming import Foldings, emit_streaming, schedule_streaming
from hw.emit.top import Ports, emit_folded_top, emit_parallel_top
from hw.folded_cost import fold
from hw.graph import Graph
from hw.measure.delays import DelayModel
from hw.parts import ARGMAX, Part, Values, beats_of, parts, streams
from hw.schedule import stages
from hw.stage import Stage

TOP = "cdg_network"

# So much of a layer's name is in that of its files, which most file systems limit to 255 bytes.
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Layer:
    """One stage of the schedule; ``pe`` and ``simd`` are 0 where it is not folded.

    Of a layer on images: cycles of a whole frame, from its first beat to its last, and between frames, alone.
    """

    name: str
    mode: str
    latency_cycles: int
    interval_cycles: int
    pe: int = 0
    simd: int = 0


@dataclass(frozen=True)
class Design:
    """RTL as {file name: text} with its static schedule.

    A frame of ``inputs`` elements of ``input_bits`` arrives in ``input_beats`` equal beats of ``s_axis_tdata``, one of
    ``outputs`` elements of ``output_bits`` leaves in ``output_beats`` of ``m_axis_tdata``; element i of a beat is at
    bit i * width; signs as given. ``latency_cycles``: from the first beat in to the last one out. ``network`` has the
    cycles of every beat, where a frame has several.
    """

    files: Mapping[str, str]
    top: str
    latency_cycles: int
    interval_cycles: int
    layers: tuple[Layer, ...]
    inputs: int
    input_bits: int
    input_signed: bool
    outputs: int
    output_bits: int
    output_signed: bool
    input_beats: int = 1
    output_beats: int = 1
    network: Network | None = None

    @property
    def mode(self) -> Mode:
        """Folded if one of its layers is."""
        return "folded" if any(layer.mode == "folded" for layer in self.layers) else "parallel"

    def schedule(self) -> dict[str, Any]:
        """Cycles of the whole and of each layer, known before simulation; plain JSON values."""
        return {
            "latency_cycles": self.latency_cycles,
            "interval_cycles": self.interval_cycles,
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
            "digest": self.digest(),
        }

    def digest(self) -> str:
        """SHA-256 of all files, in hex."""
        return hashlib.sha256(json.dumps(dict(self.files), sort_keys=True).encode()).hexdigest()


def design(
    graph: Graph, hardware: Hardware, delays: DelayModel, period_ns: float, foldings: Foldings | None = None
) -> Design:
    """Emit ``graph``; in parallel layers registers are placed so that ``delays`` meets ``period_ns``.

    ``foldings``: those of the parts (:func:`hw.parts.parts`), by index, instead of what ``hardware`` says of all; the
    others then are parallel. Raises ModelError where the graph cannot be built.
    """
    if foldings is not None and not foldings and not streams(graph):  # layers that hand over take more than a chain
        hardware, foldings = Hardware("parallel"), None
    if foldings is not None or streams(graph) or (graph.gives_class and hardware.mode == "folded"):
        return _streaming(graph, hardware, delays, period_ns, foldings)
    chain = stages(graph.logits())
    _assert_stages_fit(chain)
    header = _header(graph, hardware.mode)
    if hardware.mode == "parallel":
        files, layers, latency = _parallel(chain, delays, period_ns, header, is_class=graph.gives_class)
    else:
        files, layers, latency = _folded(chain, hardware, header)
    return Design(
        files=dict(sorted(files.items())),
        top=TOP,
        latency_cycles=latency,
        interval_cycles=max(layer.interval_cycles for layer in layers),
        layers=tuple(layers),
        **ports(graph),
    )


class Shape(TypedDict):
    """What a design's ports carry, as :class:`Design` says it."""

    inputs: int
    input_bits: int
    input_signed: bool
    input_beats: int
    outputs: int
    output_bits: int
    output_signed: bool
    output_beats: int


def ports(graph: Graph) -> Shape:
    """What the ports of every design of ``graph`` carry."""
    chain, kind = parts(graph), graph.input.type
    values = chain[-1].values
    return Shape(
        inputs=graph.input.size,
        input_bits=kind.bits,
        input_signed=kind.signed,
        input_beats=beats_of(chain[0].reads),
        outputs=graph.output.size,
        output_bits=values.bits,
        output_signed=values.signed,
        output_beats=beats_of(chain[-1].dims),
    )


def _streaming(
    graph: Graph, hardware: Hardware, delays: DelayModel, period_ns: float, given: Foldings | None
) -> Design:
    """A network of images or branches, or one whose layers are folded differently."""
    chain = parts(graph)
    foldings = _foldings(chain, hardware) if given is None else given
    modes = {"folded" if index in foldings else "parallel" for index, part in enumerate(chain) if part.weighted}
    header = _header(graph, " and ".join(sorted(modes, reverse=True)) or hardware.mode)
    built = emit_streaming(chain, _names(chain), _source(graph), foldings, delays, period_ns, TOP, header)
    latency = built.network.latency()
    layers = [(f"layer {part.name!a}", cycles.latency) for part, cycles in zip(chain, built.parts, strict=True)]
    for what, cycles in [*layers, ("the network", latency)]:
        if cycles < 0:  # what it gives is there before its image comes
            raise ModelError(f"{what} reads nothing but padding, for every image; take less padding or smaller strides")
    return Design(
        files=dict(sorted((dict(built.files) | library(set(built.rtl))).items())),
        top=TOP,
        latency_cycles=latency,
        interval_cycles=built.network.interval(),
        layers=tuple(
            Layer(
                part.name,
                "folded" if index in foldings else "parallel" if part.weighted else "streaming",
                cycles.latency,
                cycles.interval,
                foldings[index].pe if index in foldings else 0,
                foldings[index].simd if index in foldings else 0,
            )
            for index, (part, cycles) in enumerate(zip(chain, built.parts, strict=True))
        ),
        network=built.network,
        **ports(graph),
    )


def _header(graph: Graph, mode: str) -> str:
    """What the top module says of itself: which network it is, its shapes and types."""
    chain, carried = parts(graph), ports(graph)
    of_input = _type(carried["input_bits"], carried["input_signed"], graph.input.type.frac)
    of_output = _type(carried["output_bits"], carried["output_signed"], graph.output.type.frac)
    given = f"{_shape(chain[-1].dims)} of {of_output}"
    if graph.gives_class:
        places = graph.logits().output.size
        given = f"which of {places} values is the largest, {number_of(carried['output_bits'], 'bit')}, unsigned"
    return (
        f"Ternary network {graph.digest()[:16]}, {mode}.\nInput: {_shape(graph.input.dims)} of {of_input}.\n"
        f"Output: {given}."
    )


def scheduled(graph: Graph, delays: DelayModel, period_ns: float, foldings: Foldings) -> Network:
    """The cycles of the streaming :func:`design` of ``graph``, in a fraction of the time: nothing is written."""
    chain = parts(graph)
    return schedule_streaming(chain, _names(chain), _source(graph), foldings, delays, period_ns)


def _names(chain: Sequence[Part]) -> list[str]:
    return [module_name(index, part.name).removeprefix("cdg_") for index, part in enumerate(chain)]


def _source(graph: Graph) -> Values:
    kind = graph.input.type
    return Values(kind.bits, kind.signed, False, kind.low, kind.high)


def _shape(dims: Sequence[int]) -> str:
    return f"{' x '.join(map(str, dims))} value{'s' if math.prod(dims) > 1 else ''}"


def _type(bits: int, signed: bool, frac: int) -> str:
    return f"{number_of(bits, 'bit')}, {'signed' if signed else 'unsigned'}, each the integer / 2^{frac}"


def _foldings(chain: Sequence[Part], hardware: Hardware) -> Foldings:
    """Of every layer with weights, so that it takes ``hardware.folding`` cycles per frame or fewer."""
    if hardware.mode == "parallel":
        return {}
    found = {}
    for index, part in enumerate(chain):
        if not part.weighted or part.depthwise:  # of a depthwise layer's weights nearly all are zero: they are wires
            continue
        assert part.stage is not None
        target = hardware.folding // part.vectors
        if target < 1:
            raise ModelError(
                f"layer {part.name!r} computes {part.vectors} pixels per frame, one after the other; folding = "
                f"{hardware.folding} cycles are too few: use {part.vectors} or more, or parallel"
            )
        found[index] = fold(part.stage, target)
    return found


def _assert_stages_fit(parts: Sequence[Stage]) -> None:
    for before, after in itertools.pairwise(parts):
        given = (before.n_out, before.output_bits, before.output_signed)
        assert given == (after.n_in, after.input_bits, after.input_signed), (before.name, after.name)


_Built = tuple[dict[str, str], list[Layer], int]


@dataclass(frozen=True)
class Chain:
    """The modules of a parallel network's layers without a handshake; ``rtl``: the hand-written ones in them.

    ``settled_ns``: when the last one's outputs settle after the clock edge.
    """

    files: Mapping[str, str]
    ports: tuple[Ports, ...]
    rtl: frozenset[str]
    settled_ns: float

    @property
    def latency(self) -> int:
        """Cycles from ``x`` of the first layer to ``y`` of the last."""
        return sum(port.latency for port in self.ports)


def chain(parts: Sequence[Stage], delays: DelayModel, period_ns: float) -> Chain:
    """Emit all layers for ``period_ns``; one goes on in the cycle in which the one before ends."""
    graphs = list[LayerGraph]()
    for stage, needed in zip(parts, _needed(parts), strict=True):
        inputs = graphs[-1].outputs if graphs else Ranges.of_input(stage)
        graphs.append(layer_graph(stage, delays.carry_bits, inputs, needed))
    delays = sized(delays, graphs, period_ns)
    start = [0.0] * parts[0].n_in  # inputs come from registers outside
    files: dict[str, str] = {}
    ports, used = [], set[str]()
    for index, (stage, graph) in enumerate(zip(parts, graphs, strict=True)):
        module = module_name(index, stage.name)
        layer = emit_parallel(graph, module, delays, period_ns, start)
        start = list(layer.settled_ns)
        files[f"{module}.sv"] = layer.text
        used.update(layer.rtl)
        ports.append(_ports(stage, module, layer.latency))
    return Chain(files, tuple(ports), frozenset(used), max(start))


def _needed(parts: Sequence[Stage]) -> list[NDArray[np.bool_]]:
    """Outputs of each stage that an output of the last one hangs on."""
    needed: list[NDArray[np.bool_]] = [np.ones(parts[-1].n_out, np.bool_)]
    for stage in reversed(parts[1:]):
        needed.append((stage.weights[:, needed[-1]] != 0).any(axis=1))
    return needed[::-1]


def _parallel(parts: Sequence[Stage], delays: DelayModel, period_ns: float, header: str, *, is_class: bool) -> _Built:
    made, used = chain(parts, delays, period_ns), {"cdg_flow", "cdg_fifo"}
    files, ports, names = dict(made.files), [*made.ports], [stage.name for stage in parts]
    if is_class:
        module, last = module_name(len(parts), ARGMAX), parts[-1]
        values = Values(last.output_bits, last.output_signed, last.output_ternary, *last.output_range)
        picked = emit_argmax(module, last.n_out, values, delays, period_ns, made.settled_ns)
        files[f"{module}.sv"] = picked.text
        ports.append(Ports(module, ports[-1].out_width, picked.bits, picked.latency))
        names.append(ARGMAX)
        used.add(picked.rtl)
    files[f"{TOP}.sv"] = emit_parallel_top(TOP, ports, header)
    layers = [Layer(name, "parallel", port.latency, 1) for name, port in zip(names, ports, strict=True)]
    latency = sum(port.latency for port in ports) + 1
    return files | library(made.rtl | used), [*layers, Layer("result queue", "parallel", 1, 1)], latency


def _folded(parts: Sequence[Stage], hardware: Hardware, header: str) -> _Built:
    files: dict[str, str] = {}
    layers, ports = [], []
    used: set[str] = set()
    for index, stage in enumerate(parts):
        module = module_name(index, stage.name)
        folding = fold(stage, hardware.folding)
        built = emit_folded(stage, folding, module)
        files |= built.files
        used.update(built.rtl)
        layers.append(
            Layer(stage.name, "folded", built.latency_cycles, built.interval_cycles, folding.pe, folding.simd)
        )
        ports.append(_ports(stage, module, built.latency_cycles))
    files[f"{TOP}.sv"] = emit_folded_top(TOP, ports, header)
    return files | library(used), layers, sum(layer.latency_cycles for layer in layers)


def _ports(stage: Stage, module: str, latency: int) -> Ports:
    return Ports(module, stage.n_in * stage.input_bits, stage.n_out * stage.output_bits, latency)


def module_name(index: int, layer: str) -> str:
    """Module of a layer, whatever its name: the index keeps it apart from others and from their tables."""
    return f"cdg_layer_{index}_{re.sub(r'[^A-Za-z0-9_]', '_', layer)[:_LONGEST_NAME]}"


def library(names: Iterable[str]) -> dict[str, str]:
    """Texts of hand-written modules, {file name: text}."""
    folder = resources.files("hw.rtl")
    return {f"{name}.sv": folder.joinpath(f"{name}.sv").read_text() for name in sorted(names)}
