"""Instances of the streaming modules of hw/rtl: SystemVerilog text, and the same module in the cycle model.

Each function connects one instance between links and returns the link that it gives. A link is a stream of the network:
``beats`` a frame of ``lanes`` elements of ``bits``, whose signals are NAME_valid, NAME_ready and NAME_data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hw import cycles
from hw.cycles import Module, Stream
from hw.emit.rom import LUTS_PER_BLOCK, vector
from hw.parts import Values, Window

_DISTRIBUTED_DEPTH = 64
"""Words that one LUT of distributed RAM holds."""


@dataclass(frozen=True)
class Link:
    """One stream: its name, shape, and times."""

    name: str
    beats: int
    lanes: int
    bits: int
    stream: Stream
    settled_ns: float = 0.0

    @property
    def width(self) -> int:
        """Bits of a beat."""
        return self.lanes * self.bits


Place = tuple[int, int]
"""In front of a join: the part, and which of its sources."""


@dataclass
class Board:
    """What has been placed so far: text of the top module, modules of the cycle model, and library modules used.

    ``depths``: beats that queue in each place in front of a join; ``waiting``: the links before and behind it.
    """

    lines: list[str] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    depths: dict[Place, int] = field(default_factory=dict)
    waiting: dict[Place, tuple[Link, Link]] = field(default_factory=dict)

    def link(self, name: str, beats: int, lanes: int, bits: int, settled_ns: float = 0.0) -> Link:
        """A new stream and its signals."""
        stream = Stream()
        self.streams.append(stream)
        self.lines += ["", f"  logic {name}_valid, {name}_ready;", f"  logic {vector(lanes * bits)} {name}_data;"]
        return Link(name, beats, lanes, bits, stream, settled_ns)

    def instance(
        self, module: str, name: str, parameters: Mapping[str, int | str], ports: Sequence[tuple[str, str]]
    ) -> None:
        """Place ``module`` as ``name``."""
        self.used.add(module)
        given = ",\n".join(f"      .{key}({value})" for key, value in parameters.items())
        self.generated(f"{module} #(\n{given}\n  )", name, ports)

    def generated(self, module: str, name: str, ports: Sequence[tuple[str, str]]) -> None:
        """Place ``module``, which is no library module."""
        width = max(len(port) for port, _ in ports)
        connections = ",\n".join(f"      .{port:{width}}({net})" for port, net in ports)
        self.lines += ["", f"  {module} {name} (", connections, "  );"]


def _ports(source: Link, sink: Link) -> list[tuple[str, str]]:
    return [("clk", "clk"), ("rst_n", "rst_n"), *sides("s", source), *sides("m", sink)]


def sides(side: str, link: Link) -> list[tuple[str, str]]:
    """The ports of one side of an instance, connected to ``link``."""
    return [(f"{side}_{signal}", f"{link.name}_{signal}") for signal in ("valid", "ready", "data")]


def reshaped(board: Board, source: Link, beats: int, lanes: int, name: str) -> Link:
    """``source`` as ``beats`` of ``lanes`` elements a frame."""
    assert source.beats * source.lanes == beats * lanes, (source, beats, lanes)
    if source.beats % beats and beats % source.beats:
        source = gathered(board, source, source.beats, f"{name}_whole")
    if source.beats > beats:
        return gathered(board, source, source.beats // beats, f"{name}_gathered")
    if source.beats < beats:
        return _split(board, source, beats // source.beats, f"{name}_split")
    return source


def gathered(board: Board, source: Link, count: int, name: str) -> Link:
    """``count`` beats as one."""
    sink = board.link(name, source.beats // count, source.lanes * count, source.bits)
    board.instance("cdg_gather", f"{name}_gather", {"WIDTH": source.width, "COUNT": count}, _ports(source, sink))
    board.modules.append(cycles.gather(source.stream, sink.stream, source.beats, count))
    return sink


def _split(board: Board, source: Link, count: int, name: str) -> Link:
    sink = board.link(name, source.beats * count, source.lanes // count, source.bits)
    board.instance("cdg_split", f"{name}_parts", {"WIDTH": sink.width, "COUNT": count}, _ports(source, sink))
    board.modules.append(cycles.split(source.stream, sink.stream, source.beats, count))
    return sink


def slid(board: Board, source: Link, window: Window, name: str) -> Link:
    """Every position of ``window``."""
    moves = window.moves
    ends, elements = sum(ends for _, ends in moves), window.rows * window.columns
    sink = board.link(name, ends, source.lanes * elements, source.bits)
    height, width, _ = window.dims
    names = ("PT", "PB", "PL", "PR")
    stored, words = (window.rows - 1) * source.width, window.padding[2] + width + window.padding[3]
    parameters: dict[str, int | str] = {
        **{"H": height, "W": width, "PIXEL_W": source.width},
        **{"KH": window.rows, "KW": window.columns, "SH": window.stride[0], "SW": window.stride[1]},
        **{key: value for key, value in zip(names, window.padding, strict=True) if value},
    }
    if window.fill:
        one = window.fill & ((1 << source.bits) - 1)
        parameters["PAD"] = f"{{{source.lanes}{{{source.bits}'d{one}}}}}"
    if queue_earns_block_ram(stored, words):
        parameters["BLOCK_RAM"] = "1'b1"
    board.instance("cdg_window", f"{name}_slide", parameters, _ports(source, sink))
    board.modules.append(cycles.window(source.stream, sink.stream, moves))
    return sink


def queue_earns_block_ram(width: int, words: int) -> bool:
    """Whether ``words`` that wait in a memory take a smaller share of a device in block RAM than in LUT RAM."""
    luts = math.ceil(width * math.ceil(words / _DISTRIBUTED_DEPTH) * 4 / 3)
    blocks = math.ceil(width / 72) * math.ceil(words / 512)
    return words > 1 and luts > LUTS_PER_BLOCK * blocks


def largest(board: Board, source: Link, count: int, *, is_signed: bool, name: str) -> Link:
    """The maximum of the ``count`` pixels of each beat, channel by channel, behind a register."""
    channels = source.lanes // count
    parameters: dict[str, int | str] = {"COUNT": count, "CHANNELS": channels, "WIDTH": source.bits}
    parameters["IS_SIGNED"] = f"1'b{int(is_signed)}"
    board.lines += ["", f"  logic {vector(channels * source.bits)} {name}_largest;"]
    board.instance("cdg_max", f"{name}_max", parameters, [("x", f"{source.name}_data"), ("y", f"{name}_largest")])
    sink = board.link(name, source.beats, channels, source.bits)
    ports = [(port, f"{name}_largest" if port == "s_data" else net) for port, net in _ports(source, sink)]
    board.instance("cdg_skid", f"{name}_register", {"WIDTH": sink.width}, ports)
    board.modules.append(cycles.pipe(source.stream, sink.stream, sink.beats, latency=1, capacity=2))
    return sink


def reduced(board: Board, source: Link, given: Values, *, is_largest: bool, name: str) -> Link:
    """The maximum of a frame's beats, or their sum, channel by channel, as ``given``."""
    sink = board.link(name, 1, source.lanes, given.bits)
    parameters: dict[str, int | str] = {"COUNT": source.beats, "CHANNELS": source.lanes, "WIDTH": source.bits}
    flags = {"IS_SIGNED": f"1'b{int(given.signed)}", "LARGEST": f"1'b{int(is_largest)}"}
    board.instance("cdg_reduce", f"{name}_reduce", parameters | {"OUT_W": given.bits} | flags, _ports(source, sink))
    board.modules.append(cycles.gather(source.stream, sink.stream, source.beats, source.beats))
    return sink


def queued(board: Board, source: Link, place: Place, name: str) -> Link:
    """``source`` through the queue of a place; through wires where none is needed."""
    depth = board.depths[place]
    sink = board.link(name, source.beats, source.lanes, source.bits, settled_ns=QUEUE_NS)
    if depth:
        board.instance("cdg_fifo", f"{name}_queue", {"WIDTH": source.width, "DEPTH": depth}, _ports(source, sink))
    else:
        pairs = ((sink, source, "valid"), (source, sink, "ready"), (sink, source, "data"))
        board.lines += [f"  assign {to.name}_{signal} = {by.name}_{signal};" for to, by, signal in pairs]
    board.waiting[place] = source, sink
    board.modules.append(cycles.queue(source.stream, sink.stream, source.beats, lambda: board.depths[place]))
    return sink


QUEUE_NS = 1.5
"""When data read from distributed RAM settles after the clock edge."""


def forked(board: Board, source: Link, count: int, name: str) -> list[Link]:
    """``count`` copies of ``source``."""
    sinks = [
        board.link(f"{name}_{copy}", source.beats, source.lanes, source.bits, source.settled_ns)
        for copy in range(count)
    ]
    nets = {signal: ", ".join(f"{sink.name}_{signal}" for sink in reversed(sinks)) for signal in ("valid", "ready")}
    board.instance(
        "cdg_fork",
        f"{name}_fork",
        {"COUNT": count},
        [
            *(("clk", "clk"), ("rst_n", "rst_n")),
            *(("s_valid", f"{source.name}_valid"), ("s_ready", f"{source.name}_ready")),
            *((f"m_{signal}", f"{{{all_}}}") for signal, all_ in nets.items()),
        ],
    )
    board.lines += ["", *(f"  assign {sink.name}_data = {source.name}_data;" for sink in sinks)]
    board.modules.append(cycles.fork(source.stream, [sink.stream for sink in sinks], source.beats))
    return sinks


def joined(
    board: Board, sources: Sequence[Link], signs: Sequence[bool], shifts: Sequence[int], bits: int, name: str
) -> Link:
    """Beats of all ``sources`` side by side, each element widened to ``bits`` and shifted."""
    settled = max(source.settled_ns for source in sources)
    sink = board.link(name, sources[0].beats, sum(source.lanes for source in sources), bits, settled)
    nets = {signal: ", ".join(f"{s.name}_{signal}" for s in reversed(sources)) for signal in ("valid", "ready")}
    board.instance(
        "cdg_join",
        f"{name}_join",
        {"COUNT": len(sources)},
        [
            *((f"s_{signal}", f"{{{all_}}}") for signal, all_ in nets.items()),
            *(("m_valid", f"{name}_valid"), ("m_ready", f"{name}_ready")),
        ],
    )
    board.lines.append("")
    first = 0
    for source, is_signed, shift in zip(sources, signs, shifts, strict=True):
        board.lines += _widened(source, first, name, bits, shift, is_signed=is_signed)
        first += source.lanes
    board.modules.append(cycles.join([source.stream for source in sources], sink.stream, sink.beats))
    return sink


def _widened(source: Link, first: int, name: str, bits: int, shift: int, *, is_signed: bool) -> list[str]:
    if source.bits == bits and not shift:
        return [f"  assign {name}_data[{first * bits}+:{source.width}] = {source.name}_data;"]
    element = f"{source.name}_data[i*{source.bits}+:{source.bits}]"
    wide = f"{bits}'({f'$signed({element})' if is_signed else element})"
    place = f"{name}_data[({first}+i)*{bits}+:{bits}]"
    return [
        f"  for (genvar i = 0; i < {source.lanes}; i++) begin : gen_{name}_{first}",
        f"    assign {place} = {wide}{f' << {shift}' if shift else ''};",
        "  end",
    ]
