"""The streaming top level: parts of a network between two pixel streams, with the cycle of every beat.

Each part is placed as modules of hw/rtl, its stage as a parallel or folded layer. Where paths of different length meet
again, queues as short as the network's own pace allows stand at the join.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hw import cycles
from hw.cycles import Network
from hw.emit import pipeline
from hw.emit.argmax import Argmax, emit_argmax
from hw.emit.folded import Folding, emit_folded
from hw.emit.modules import (
    QUEUE_NS,
    Board,
    Link,
    Place,
    forked,
    gathered,
    joined,
    largest,
    queued,
    reduced,
    reshaped,
    sides,
    slid,
)
from hw.emit.parallel import LayerGraph, emit_parallel, lone_graph, sized
from hw.emit.queues import shorten
from hw.emit.rom import vector
from hw.folded_cost import folded_cost
from hw.measure.delays import DelayModel
from hw.parts import INPUT, Part, Values, beats_of

Foldings = Mapping[int, Folding]
"""Of the parts that are folded, by index; the others are parallel."""

# per LUT: the median of four folded networks of 16 to 64 inputs, 0.9 to 2.1, that Yosys mapped
_FOLDED_REGISTERS = 1.6


@dataclass(frozen=True)
class Cycles:
    """Of one part alone, neither side waiting: cycles from its first beat to its last, and between frames."""

    latency: int
    interval: int


@dataclass(frozen=True)
class Streaming:
    """Files of a network, and its schedule. ``network`` gives the cycles of every frame."""

    files: Mapping[str, str]
    rtl: frozenset[str]
    network: Network
    parts: tuple[Cycles, ...]


def emit_streaming(
    parts: Sequence[Part],
    names: Sequence[str],
    source: Values,
    foldings: Foldings,
    delays: DelayModel,
    period_ns: float,
    top: str,
    header: str,
) -> Streaming:
    """Emit ``parts``, whose modules are called ``names``; ``source``: elements of the network's input.

    Raises ModelError where a part cannot be built.
    """
    placer = _placed(parts, names, source, _Layers(parts, names, foldings, delays, period_ns))
    text = _text(top, header, placer.source, placer.last, placer.board.lines)
    files, rtl = placer.layers.written()
    return Streaming(
        {**files, f"{top}.sv": text}, frozenset(placer.board.used | rtl), placer.network, tuple(placer.alone())
    )


def schedule_streaming(
    parts: Sequence[Part],
    names: Sequence[str],
    source: Values,
    foldings: Foldings,
    delays: DelayModel,
    period_ns: float,
) -> Network:
    """The cycles of what :func:`emit_streaming` writes, without writing it."""
    return _placed(parts, names, source, _Layers(parts, names, foldings, delays, period_ns)).network


class _Layers:
    """The stages: their latencies, and their generated modules."""

    def __init__(
        self, parts: Sequence[Part], names: Sequence[str], foldings: Foldings, delays: DelayModel, period_ns: float
    ) -> None:
        self._names, self._period_ns = names, period_ns
        self._graphs: dict[int, LayerGraph] = {}
        self._settled: dict[int, float] = {}
        self._latencies: dict[tuple[int, float], int] = {}
        self._argmax: dict[int, Argmax] = {}
        self._parts, self.foldings = parts, foldings
        for index, part in enumerate(parts):
            if part.stage and index not in foldings:
                self._graphs[index] = lone_graph(part.stage, delays.carry_bits)
        stages = [(index, part.stage) for index, part in enumerate(parts) if part.stage]
        shared = sum(folded_cost(stage, foldings[i])[0] for i, stage in stages if i in foldings)
        folded = shared * (1.0 + _FOLDED_REGISTERS)
        self._delays = sized(delays, list(self._graphs.values()), period_ns, folded)

    def parallel(self, index: int, settled_ns: float) -> int:
        """Latency of the adder graph of a part whose inputs settle then."""
        self._settled[index] = settled_ns
        key = index, settled_ns
        if key not in self._latencies:
            graph = self._graphs[index]
            start = [settled_ns] * graph.stage.n_in
            self._latencies[key] = pipeline.place(graph.pipeline, self._delays, self._period_ns, start).latency
        return self._latencies[key]

    def argmax(self, index: int, link: Link) -> int:
        """Latency of the part that picks the largest element of ``link``."""
        part, module = self._parts[index], self._module(index)
        self._argmax[index] = made = emit_argmax(
            module, link.lanes, part.joined, self._delays, self._period_ns, link.settled_ns
        )
        return made.latency

    def written(self) -> tuple[dict[str, str], set[str]]:
        """Files of all generated modules, as they were placed last, and the modules of hw/rtl in them."""
        files, used = dict[str, str](), set[str]()
        for index, part in enumerate(self._parts):
            module = self._module(index)
            if part.stage and index in self.foldings:
                built = emit_folded(part.stage, self.foldings[index], module)
                files |= built.files
                used.update(built.rtl)
            elif part.stage:
                start = [self._settled[index]] * part.stage.n_in
                layer = emit_parallel(self._graphs[index], module, self._delays, self._period_ns, start)
                files[f"{module}.sv"] = layer.text
                used |= layer.rtl
            if index in self._argmax:
                files[f"{module}.sv"] = self._argmax[index].text
                used.add(self._argmax[index].rtl)
        return files, used

    def _module(self, index: int) -> str:
        return f"cdg_{self._names[index]}"


def _placed(parts: Sequence[Part], names: Sequence[str], source: Values, layers: _Layers) -> _Placer:
    """All parts, with queues as short as can be in front of joins."""
    placer = _Placer(parts, names, source, layers, {})
    if placer.board.depths:
        shorten(placer.board, placer.network)
        placer = _Placer(parts, names, source, layers, placer.board.depths)
    return placer


class _Placer:
    """One placing of all parts, with queues of ``depths`` in front of joins."""

    def __init__(
        self,
        parts: Sequence[Part],
        names: Sequence[str],
        source: Values,
        layers: _Layers,
        depths: Mapping[Place, int],
    ) -> None:
        self.parts, self.names, self.values, self.layers = parts, names, source, layers
        self.board = Board()
        places = [
            (i, which) for i, part in enumerate(parts) if len(part.sources) > 1 for which in range(len(part.sources))
        ]
        self.board.depths.update({place: depths.get(place, 1) for place in places})
        dims = parts[0].reads
        self.source = Link("source", beats_of(dims), dims[-1], source.bits, cycles.Stream())
        self._readers = Counter(place for part in parts for place in part.sources)
        self._given: dict[int, list[Link]] = {}
        self._alone: list[Network | None] = []
        self._give(INPUT, self.source, "input")
        for index, part in enumerate(parts):
            self.board.lines += ["", f"  // {part.name!a}"]
            self.last = self._place(index, part)
            self._give(index, self.last, names[index])
        self.network = Network(
            self.source.beats, self.last.beats, self.source.stream, self.last.stream, self.board.modules
        )
        self.network.streams = [stream for stream in self.board.streams if stream is not self.last.stream]

    def alone(self) -> list[Cycles]:
        """What each part would take alone."""
        return [Cycles(net.latency(), net.interval()) if net else Cycles(0, 1) for net in self._alone]

    def _give(self, place: int, link: Link, name: str) -> None:
        count = self._readers[place]
        self._given[place] = [link] if count < 2 else forked(self.board, link, count, f"{name}_to")

    def _place(self, index: int, part: Part) -> Link:
        board, name = self.board, self.names[index]
        sources = [self._given[place].pop(0) for place in part.sources]
        begun = len(board.modules), len(board.streams)
        if len(sources) > 1:
            link = self._joined(index, part, sources)
        else:
            link = reshaped(board, sources[0], beats_of(part.reads), part.reads[-1], f"{name}_in")
        window = part.window
        if part.reduced:
            link = reduced(board, link, part.reduced, is_largest=part.largest, name=f"{name}_pool")
        elif window and window.spans:
            link = gathered(board, link, link.beats, f"{name}_image")
        elif window and not window.is_pixel and not window.is_image:
            link = slid(board, link, window, f"{name}_window")
        if part.largest and window and not part.reduced:
            area = window.rows * window.columns
            link = largest(board, link, area, is_signed=part.joined.signed, name=f"{name}_pool")
        if part.stage:
            link = self._stage(index, part.stage.n_out, part.stage.output_bits, link)
        if part.argmax:
            link = self._flowing(index, 1, part.values.bits, link, self.layers.argmax(index, link))
        if index == len(self.parts) - 1:
            link = reshaped(board, link, beats_of(part.dims), part.dims[-1], f"{name}_out")
        self._keep(sources, link, begun)
        return link

    def _joined(self, index: int, part: Part, sources: Sequence[Link]) -> Link:
        name, beats = self.names[index], beats_of(part.reads)
        links, signs = [], []
        for which, (place, source) in enumerate(zip(part.sources, sources, strict=True)):
            lanes = source.beats * source.lanes // beats
            link = reshaped(self.board, source, beats, lanes, f"{name}_in_{which}")
            links.append(queued(self.board, link, (index, which), f"{name}_waiting_{which}"))
            signs.append((self.values if place == INPUT else self.parts[place].values).signed)
        return joined(self.board, links, signs, part.shifts, part.joined.bits, f"{name}_joined")

    def _stage(self, index: int, lanes: int, bits: int, link: Link) -> Link:
        part, name, board = self.parts[index], self.names[index], self.board
        if index not in self.layers.foldings:
            return self._flowing(index, lanes, bits, link, self.layers.parallel(index, link.settled_ns))
        assert part.stage is not None
        latency, interval = self.layers.foldings[index].timing(part.stage)
        sink = board.link(name, link.beats, lanes, bits)
        ports = [("clk", "clk"), ("rst_n", "rst_n"), *sides("s", link), *sides("m", sink)]
        board.generated(f"cdg_{name}", f"{name}_unit", ports)
        timing = {"latency": latency, "interval": interval}
        board.modules.append(cycles.pipe(link.stream, sink.stream, link.beats, **timing, capacity=2))
        return sink

    def _flowing(self, index: int, lanes: int, bits: int, link: Link, latency: int) -> Link:
        """The generated module of a part, a pipeline of ``latency`` without a handshake, in one."""
        name, board = self.names[index], self.board
        board.lines += ["", f"  logic {vector(lanes * bits)} {name}_y;", f"  logic unused_{name}_valid;"]
        board.generated(f"cdg_{name}", f"{name}_unit", [("clk", "clk"), ("x", f"{link.name}_data"), ("y", f"{name}_y")])
        sink = board.link(name, link.beats, lanes, bits, settled_ns=QUEUE_NS)
        ports = [
            *(("clk", "clk"), ("rst_n", "rst_n"), ("s_valid", f"{link.name}_valid"), ("s_ready", f"{link.name}_ready")),
            *(("pipe_valid", f"unused_{name}_valid"), ("pipe_data", f"{name}_y"), *sides("m", sink)),
        ]
        board.instance("cdg_flow", f"{name}_flow", {"LATENCY": latency, "WIDTH": lanes * bits}, ports)
        board.used.add("cdg_fifo")
        capacity = 1 << (latency + 1).bit_length()
        timing = {"latency": latency + 1, "capacity": capacity}
        board.modules.append(cycles.pipe(link.stream, sink.stream, link.beats, **timing))
        return sink

    def _keep(self, sources: Sequence[Link], link: Link, begun: tuple[int, int]) -> None:
        """The part as a network of its own, which frames of its joined sources enter together, each in its beats."""
        modules, streams = self.board.modules[begun[0] :], self.board.streams[begun[1] :]
        if not modules:
            self._alone.append(None)
            return
        first, *others = sources
        alone = Network(first.beats, link.beats, first.stream, link.stream, list(modules))
        alone.modules += [cycles.beside(first.stream, first.beats, other.stream, other.beats) for other in others]
        alone.streams = [stream for stream in streams if stream is not link.stream]
        alone.streams += [other.stream for other in others]
        self._alone.append(alone)


def _text(module: str, header: str, source: Link, last: Link, body: Sequence[str]) -> str:
    lines = "\n".join(body)
    comments = "\n".join(f"// {line}" for line in header.splitlines())
    return f"""{comments}
`default_nettype none

module {module} (
    input  wire logic clk,
    input  wire logic rst_n,
    input  wire logic s_axis_tvalid,
    output wire logic s_axis_tready,
    input  wire logic {vector(source.width)} s_axis_tdata,
    output wire logic m_axis_tvalid,
    input  wire logic m_axis_tready,
    output wire logic {vector(last.width)} m_axis_tdata
);
  logic source_valid, source_ready;
  logic {vector(source.width)} source_data;

  assign source_valid  = s_axis_tvalid;
  assign s_axis_tready = source_ready;
  assign source_data   = s_axis_tdata;
{lines}

  assign m_axis_tvalid    = {last.name}_valid;
  assign {last.name}_ready = m_axis_tready;
  assign m_axis_tdata     = {last.name}_data;
endmodule

`default_nettype wire
"""
