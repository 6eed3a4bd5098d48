"""Constant tables as SystemVerilog modules that synthesis maps to LUTs or block RAM."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

_BLOCK_WIDTH, _BLOCK_DEPTH = 72, 512
_LUTS_PER_BLOCK = 380
"""53,200 LUTs / 140 block RAMs on xc7z020: where one block RAM weighs as much of the device as its LUTs."""


@dataclass(frozen=True)
class Rom:
    """``words`` of ``width`` bits in module ``module``.

    Unregistered: a truth table per bit, read within the cycle, which synthesis merges with the logic behind it.
    ``read_registered``: read a cycle later, from LUTs of its own or, with ``block``, from block RAM.
    A table of one word has neither clock nor address. ``readers`` equal parts of the word, each with an address of
    its own, make up an unregistered one; a registered one takes the first address.
    """

    module: str
    words: tuple[int, ...]
    width: int
    read_registered: bool = False
    block: bool = False
    readers: int = 1

    def registered(self, *, block: bool) -> Rom:
        """Return the same table read through a register."""
        return replace(self, read_registered=True, block=block)

    @property
    def earns_block_ram(self) -> bool:
        """Whether block RAM takes a smaller share of a device than the LUTs it saves."""
        luts = self.width * math.ceil(len(self.words) / 64)
        blocks = math.ceil(self.width / _BLOCK_WIDTH) * math.ceil(len(self.words) / _BLOCK_DEPTH)
        return luts > _LUTS_PER_BLOCK * blocks

    @property
    def ports(self) -> tuple[str, ...]:
        """Port names in order."""
        if len(self.words) == 1:
            return ("data",)
        return ("clk", "addr", "data") if self.read_registered else ("addr", "data")

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


def emit_rom(rom: Rom) -> str:
    """SystemVerilog of the table."""
    declared = {
        "clk": "input  wire logic clk",
        "addr": f"input  wire logic {vector(rom.readers * rom.address_bits)} addr",
        "data": f"output logic {vector(rom.width)} data",
    }
    body = _body(rom)
    ports = ",\n".join(f"    {declared[port]}" for port in rom.ports)
    return f"""\
// {len(rom.words)} words of {rom.width} bits{", in block RAM" if rom.block else ""}.
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
    if not rom.read_registered:
        return _truth_tables(rom)
    return _unread_addresses(rom) + (_block_ram(rom) if rom.block else _luts(rom))


def _unread_addresses(rom: Rom) -> str:
    if rom.readers == 1:
        return ""
    return f"  wire logic unused = &{{1'b0, addr[{rom.readers * rom.address_bits - 1}:{rom.address_bits}]}};\n\n"


def _literal(word: int, width: int) -> str:
    return f"{width}'h{word:0{math.ceil(width / 4)}x}"


def _columns(rom: Rom) -> list[int]:
    """Bit n of a column is that data bit of word n."""
    return [sum((word >> bit & 1) << n for n, word in enumerate(rom.words)) for bit in range(rom.width)]


def _truth_tables(rom: Rom) -> str:
    # As a memory, Yosys would move the address register behind it and so keep it from merging.
    depth, part, bits = len(rom.words), rom.width // rom.readers, rom.address_bits
    lines = (
        f"  assign data[{bit}] = 1'({_literal(column, depth)} >> addr[{bit // part * bits}+:{bits}]);"
        for bit, column in enumerate(_columns(rom))
    )
    return "\n".join(("  // Bit n of a constant is that data bit of word n.", *lines))


def _luts(rom: Rom) -> str:
    """A LUT6 for each 64 words of a column that neither is constant nor was there before."""
    depth, seen, lines = len(rom.words), dict[int, int](), []
    for bit, column in enumerate(_columns(rom)):
        first = seen.setdefault(column, bit)
        if column in (0, (1 << depth) - 1):
            lines.append(f"  assign column[{bit}] = 1'b{column & 1};")
        elif first < bit:
            lines.append(f"  assign column[{bit}] = column[{first}];")
        else:
            parameters = f".DEPTH({depth}), .WORDS({_literal(column, depth)})"
            lines.append(f"  cdg_rom_column #({parameters}) column_{bit} (.addr(word), .data(column[{bit}]));")
    body = "\n".join(lines)
    return f"""\
  logic {vector(rom.address_bits)} word;
  logic {vector(rom.width)} column;

  assign word = addr{vector(rom.address_bits)};

  // Bit n of a constant is that data bit of word n.
{body}

  always_ff @(posedge clk) begin
    data <= column;
  end"""


def _block_ram(rom: Rom) -> str:
    words = "\n".join(f"    mem[{i}] = {_literal(word, rom.width)};" for i, word in enumerate(rom.words))
    return f"""\
  (* rom_style = "block" *) logic {vector(rom.width)} mem[0:{len(rom.words) - 1}];

  initial begin
{words}
  end

  always_ff @(posedge clk) begin
    data <= mem[addr{vector(rom.address_bits)}];
  end"""
