"""Constant tables as SystemVerilog modules that synthesis maps to LUTs or block RAM."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from codesign.counting import number_of

_PAIRED_DEPTH = 32
"""Words of which one LUT6_2 holds two bits each."""
LUTS_PER_BLOCK = 380
"""53,200 LUTs / 140 block RAMs on xc7z020: where one block RAM weighs as much of the device as its LUTs."""


@dataclass(frozen=True)
class Rom:
    """``words`` of ``width`` bits in module ``module``, read a cycle later, from LUTs or, with ``block``, block RAM.

    A table of one word has neither clock nor address. ``readers`` equal parts of the word (the last may be shorter)
    each have an address, all the same, so that none drives a net across the whole table. ``holds`` says what is in a
    word, in one line or more.
    """

    module: str
    words: tuple[int, ...]
    width: int
    holds: str
    block: bool = False
    readers: int = 1

    @property
    def ports(self) -> tuple[str, ...]:
        """Port names in order."""
        if len(self.words) == 1:
            return ("data",)
        return ("clk", "addr", "data")

    @property
    def part(self) -> int:
        """Bits of a reader."""
        return math.ceil(self.width / self.readers)

    @property
    def address_bits(self) -> int:
        """Address bits, 1 for a single word."""
        return max(1, (len(self.words) - 1).bit_length())


def pack(rows: ArrayLike, bits: int) -> tuple[int, ...]:
    """One word per row of integers (n, k): element i at ``[i * bits +: bits]``, in two's complement."""
    mask = (1 << bits) - 1
    words = []
    for row in np.asarray(rows).tolist():
        word = 0
        for i, value in enumerate(row):
            word |= (value & mask) << (i * bits)
        words.append(word)
    return tuple(words)


def vector(width: int) -> str:
    """Return the packed range of a port or signal of ``width`` bits."""
    return f"[{width - 1}:0]"


def luts(width: int, depth: int) -> float:
    """LUTs of a table of ``depth`` words whose columns all differ."""
    if depth == 1:
        return 0.0
    if depth <= _PAIRED_DEPTH:
        return math.ceil(width / 2)
    banks = math.ceil(depth / 64)
    return width * (banks + chosen(banks))


def chosen(count: int) -> int:
    """LUTs of cdg_choose: none for four bits, as wide multiplexers do it, but one where three are left over.

    Of more, one LUT for every four of these fours, and so on.
    """
    fours, left = math.ceil(count / 4), int(count % 4 == 3)
    if fours == 1:
        return left
    above = math.ceil(fours / 4)
    return left + above + chosen(above)


def blocks(width: int, depth: int) -> float:
    """36 Kb block RAMs of a table, in halves: the fewest over the shapes that they have."""
    shapes = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
    return min(math.ceil(width / bits) * math.ceil(depth / words) for bits, words in shapes) / 2


def earns_block_ram(width: int, depth: int) -> bool:
    """Whether block RAM takes a smaller share of a device than the LUTs that a table would take."""
    return luts(width, depth) > LUTS_PER_BLOCK * blocks(width, depth)


def emit_rom(rom: Rom) -> str:
    """SystemVerilog of the table."""
    declared = {
        "clk": "input  wire logic clk",
        "addr": f"input  wire logic {vector(rom.readers * rom.address_bits)} addr",
        "data": f"output logic {vector(rom.width)} data",
    }
    body = _body(rom)
    ports = ",\n".join(f"    {declared[port]}" for port in rom.ports)
    holds = "\n".join(f"// {line}" for line in rom.holds.splitlines())
    return f"""\
{holds}
// {number_of(len(rom.words), "word")} of {number_of(rom.width, "bit")}{", in block RAM" if rom.block else ""}.
`default_nettype none

module {rom.module} (
{ports}
);
{body}
endmodule

`default_nettype wire
"""


def _body(rom: Rom) -> str:
    if len(rom.words) == 1:
        return f"  assign data = {_literal(rom.words[0], rom.width)};"
    return _block_ram(rom) if rom.block else _luts(rom)


def _literal(word: int, width: int) -> str:
    return f"{width}'h{word:0{math.ceil(width / 4)}x}"


def _columns(rom: Rom) -> list[int]:
    """Bit n of a column is that data bit of word n."""
    return [sum((word >> bit & 1) << n for n, word in enumerate(rom.words)) for bit in range(rom.width)]


def _luts(rom: Rom) -> str:
    """LUTs of the columns that neither are constant nor were there before: one for two of them where words are few."""
    depth, seen, lines, bits = len(rom.words), dict[int, int](), list[str](), list[str]()
    waiting: dict[int, tuple[int, int]] = {}  # by reader: a column that shares its LUT with the next
    for bit, column in enumerate(_columns(rom)):
        first, reader = seen.setdefault(column, bit), bit // rom.part
        constant = column in (0, (1 << depth) - 1)
        bits.append(f"1'b{column & 1}" if constant else f"column_{first}")
        if constant or first < bit:
            continue
        lines.append(f"  logic column_{bit};")
        if depth > _PAIRED_DEPTH:
            lines.append(_single(depth, reader, bit, column))
        elif reader in waiting:
            lines.append(_pair(depth, reader, waiting.pop(reader), (bit, column)))
        else:
            waiting[reader] = bit, column
    lines += [_single(depth, reader, *column) for reader, column in waiting.items()]
    body, whole = "\n".join(lines), ", ".join(reversed(bits))
    return f"""\
{_addresses(rom)}

  // Bit n of a constant is that data bit of word n.
{body}

  always_ff @(posedge clk) begin
    data <= {{{whole}}};
  end"""


def _addresses(rom: Rom) -> str:
    bits = rom.address_bits
    words = (f"  wire logic {vector(bits)} word_{i} = addr[{i * bits}+:{bits}];" for i in range(rom.readers))
    # all of a reader's columns may be constant
    return "\n".join((*words, "  wire logic unused = &{1'b0, addr};"))


def _single(depth: int, reader: int, bit: int, column: int) -> str:
    parameters = f".DEPTH({depth}), .WORDS({_literal(column, depth)})"
    return f"  cdg_rom_column #({parameters}) table_{bit} (.addr(word_{reader}), .data(column_{bit}));"


def _pair(depth: int, reader: int, low: tuple[int, int], high: tuple[int, int]) -> str:
    parameters = f".DEPTH({depth}), .LOW({_literal(low[1], depth)}), .HIGH({_literal(high[1], depth)})"
    ports = f".addr(word_{reader}), .data({{column_{high[0]}, column_{low[0]}}})"
    return f"  cdg_rom_pair #({parameters}) table_{low[0]} ({ports});"


def _block_ram(rom: Rom) -> str:
    words = "\n".join(f"    mem[{i}] = {_literal(word, rom.width)};" for i, word in enumerate(rom.words))
    return f"""\
  (* rom_style = "block" *) logic {vector(rom.width)} mem[0:{len(rom.words) - 1}];

  initial begin
{words}
  end

  always_ff @(posedge clk) begin
    data <= mem[addr];
  end"""
