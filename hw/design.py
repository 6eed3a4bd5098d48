"""Design: what is synthesized and simulated. A pure function of Graph, hardware knobs and target makes it."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.architecture import Hardware
from hw.emit.folded import emit_folded, fold
from hw.emit.parallel import LayerGraph, Ranges, emit_parallel, layer_graph
from hw.emit.top import Ports, emit_folded_top, emit_parallel_top
from hw.graph import Graph
from hw.measure.delays import DelayModel
from hw.schedule import stages
from hw.stage import Stage

TOP = "cdg_network"

# So much of a layer's name is in that of its files, which most file systems limit to 255 bytes.
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Layer:
    """One stage of the schedule. ``pe`` and ``simd`` are 0 in parallel mode."""

    name: str
    mode: str
    latency_cycles: int
    interval_cycles: int
    pe: int = 0
    simd: int = 0


@dataclass(frozen=True)
class Design:
    """RTL as {file name: text} with its static schedule.

    ``s_axis_tdata`` holds ``inputs`` elements of ``input_bits``, ``m_axis_tdata`` ``outputs`` of
    ``output_bits``, element i at bit i * width; signs as given.
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


def design(graph: Graph, hardware: Hardware, delays: DelayModel, period_ns: float) -> Design:
    """Emit ``graph``; in parallel mode registers are placed so that ``delays`` meets ``period_ns``.

    Raises ModelError where the graph cannot be built.
    """
    parts = stages(graph)
    _assert_ports_fit(parts)
    header = (
        f"Ternary network {graph.digest()[:16]}: {hardware.mode}, {parts[0].n_in} inputs, {parts[-1].n_out} outputs."
    )
    build = _parallel if hardware.mode == "parallel" else _folded
    files, layers, latency = build(parts, hardware, delays, period_ns, header)
    last = parts[-1]
    return Design(
        files=dict(sorted(files.items())),
        top=TOP,
        latency_cycles=latency,
        interval_cycles=max(layer.interval_cycles for layer in layers),
        layers=tuple(layers),
        inputs=parts[0].n_in,
        input_bits=parts[0].input_bits,
        input_signed=parts[0].input_signed,
        outputs=last.n_out,
        output_bits=last.output_bits,
        output_signed=last.output_signed,
    )


def _assert_ports_fit(parts: Sequence[Stage]) -> None:
    for before, after in itertools.pairwise(parts):
        given = (before.n_out, before.output_bits, before.output_signed)
        assert given == (after.n_in, after.input_bits, after.input_signed), (before.name, after.name)


_Built = tuple[dict[str, str], list[Layer], int]


@dataclass(frozen=True)
class Chain:
    """The modules of a parallel network's layers without a handshake; ``rtl``: the hand-written ones in them."""

    files: Mapping[str, str]
    ports: tuple[Ports, ...]
    rtl: frozenset[str]

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
    delays = dataclasses.replace(delays, luts=sum(graph.luts for graph in graphs))  # larger designs have longer nets
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
    return Chain(files, tuple(ports), frozenset(used))


def _needed(parts: Sequence[Stage]) -> list[NDArray[np.bool_]]:
    """Outputs of each stage that an output of the last one hangs on."""
    needed: list[NDArray[np.bool_]] = [np.ones(parts[-1].n_out, np.bool_)]
    for stage in reversed(parts[1:]):
        needed.append((stage.weights[:, needed[-1]] != 0).any(axis=1))
    return needed[::-1]


def _parallel(parts: Sequence[Stage], _: Hardware, delays: DelayModel, period_ns: float, header: str) -> _Built:
    made = chain(parts, delays, period_ns)
    layers = [Layer(stage.name, "parallel", port.latency, 1) for stage, port in zip(parts, made.ports, strict=True)]
    files = {**made.files, f"{TOP}.sv": emit_parallel_top(TOP, made.ports, header)}
    flow = Layer("result queue", "parallel", 1, 1)
    return files | library({*made.rtl, "cdg_flow", "cdg_fifo"}), [*layers, flow], made.latency + 1


def _folded(parts: Sequence[Stage], hardware: Hardware, _: DelayModel, __: float, header: str) -> _Built:
    files: dict[str, str] = {}
    layers, ports = [], []
    used: set[str] = set()
    for index, stage in enumerate(parts):
        module = module_name(index, stage.name)
        folding = fold(stage.n_in, stage.n_out, hardware.folding)
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
