"""A mapped Xilinx netlist taken apart into what a simulation needs: look-up tables, registers and LUT RAM.

Everything combinational becomes a table of at most six inputs: LUTs as they are, a LUT6_2 as two of them, multiplexers
and each bit of a carry cell as UG474 (7 series CLB) and UG574 (UltraScale CLB) draw it: sum S ^ CI, carry S ? CI : DI.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codesign.errors import ToolRunError

INPUTS = 6
ZERO, ONE = 0, 1
"""Nets of the constants; every other net follows."""
_LUT = re.compile(r"LUT([1-6])$")
_RAM = re.compile(r"RAM(32|64)M(8|16)?$")
_REGISTER = {"FDRE": 0, "FDSE": 1}
_XOR, _OR, _NOT = 0b0110, 0b1110, 0b01
_SELECT = 0b11001010  # of inputs (low, high, select)


@dataclass(frozen=True)
class Table:
    """``output`` is bit number (inputs as a binary number, the first lowest) of ``content``."""

    kind: str
    inputs: tuple[int, ...]
    content: int
    output: int


@dataclass(frozen=True)
class Register:
    """``output`` takes ``data`` where ``enable``, and ``value`` where ``reset``, which goes first."""

    data: int
    enable: int
    reset: int
    value: int
    output: int


@dataclass(frozen=True)
class Memory:
    """LUT RAM: each port reads at its own address at once; all are written at the address of the last."""

    enable: int
    ports: tuple[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]], ...]
    """Of each port address, data in, and data out where it is read."""


class Netlist:
    """A flat module's tables, registers and memories; nets are numbered, and ``ports`` are their nets by name."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        self.numbers: dict[int, int] = {}
        self.tables: list[Table] = []
        self.registers: list[Register] = []
        self.memories: list[Memory] = []
        self.nets = 2
        self.ports = {name: self._bits(port["bits"]) for name, port in module["ports"].items()}
        for name, cell in module["cells"].items():
            self._cell(name, cell)

    def _net(self, bit: int | str) -> int:
        if isinstance(bit, str):
            return ONE if bit == "1" else ZERO
        if bit not in self.numbers:
            self.numbers[bit] = self._new()
        return self.numbers[bit]

    def _new(self) -> int:
        self.nets += 1
        return self.nets - 1

    def _bits(self, bits: list[int | str]) -> tuple[int, ...]:
        return tuple(self._net(bit) for bit in bits)

    def _cell(self, name: str, cell: Mapping[str, Any]) -> None:
        kind, parameters = str(cell["type"]), cell.get("parameters", {})
        pins = {pin: self._bits(bits) for pin, bits in cell["connections"].items()}
        if any("1" in str(value) for key, value in parameters.items() if key.endswith("_INVERTED")):
            raise ToolRunError(f"netlist simulation: {name} ({kind}) inverts a pin, which is not known here")
        if found := _LUT.match(kind):
            inputs = tuple(pins[f"I{place}"][0] for place in range(int(found[1])))
            self._table("lut", inputs, _content(parameters["INIT"]), pins["O"])
        elif kind == "LUT6_2":
            inputs = tuple(pins[f"I{place}"][0] for place in range(INPUTS))
            content = _content(parameters["INIT"])
            self._table("lut", inputs, content, pins.get("O6", ()))
            self._table("lut", inputs[:5], content & 0xFFFFFFFF, pins.get("O5", ()))
        elif kind == "INV":
            self._table("lut", pins["I"], _NOT, pins["O"])
        elif kind in ("MUXF7", "MUXF8", "MUXF9"):
            self._table("mux", (pins["I0"][0], pins["I1"][0], pins["S"][0]), _SELECT, pins["O"])
        elif kind in ("CARRY4", "CARRY8"):
            self._carry(pins)
        elif kind in _REGISTER:
            self._register(kind, pins)
        elif (found := _RAM.match(kind)) and not any(
            "1" in str(parameters.get(key, "")) for key in _starts(parameters)
        ):
            self._memory(pins, width=2 if found[1] == "32" else 1)
        else:
            raise ToolRunError(f"netlist simulation: no behaviour for cell type {kind} ({name})")

    def _table(self, kind: str, inputs: tuple[int, ...], content: int, output: tuple[int, ...]) -> None:
        for net in output:
            self.tables.append(Table(kind, inputs, content, net))

    def _carry(self, pins: Mapping[str, tuple[int, ...]]) -> None:
        if any(net != ZERO for net in pins.get("CI_TOP", ())):
            raise ToolRunError("netlist simulation: a CARRY8 of two chains is not known here")
        carry = self._new()
        self._table("carry", (*pins["CI"][:1], *pins.get("CYINIT", (ZERO,))[:1]), _OR, (carry,))
        for s, di, o, co in zip(pins["S"], pins["DI"], pins["O"], pins["CO"], strict=True):
            self._table("carry", (s, carry), _XOR, (o,) if o > ONE else ())
            following = co if co > ONE else self._new()
            self._table("carry", (di, carry, s), _SELECT, (following,))
            carry = following

    def _register(self, kind: str, pins: Mapping[str, tuple[int, ...]]) -> None:
        value = _REGISTER[kind]
        (data,), (output,) = pins["D"], pins["Q"]
        enable, reset = pins.get("CE", (ONE,))[0], pins.get("S" if value else "R", (ZERO,))[0]
        self.registers.append(Register(data, enable, reset, value, output))

    def _memory(self, pins: Mapping[str, tuple[int, ...]], width: int) -> None:
        letters = sorted(pin[-1] for pin in pins if pin.startswith("ADDR"))
        nothing = (ZERO,) * width
        ports = tuple((pins[f"ADDR{one}"], pins.get(f"DI{one}", nothing), pins.get(f"DO{one}", ())) for one in letters)
        self.memories.append(Memory(pins["WE"][0], ports))


def _starts(parameters: Mapping[str, Any]) -> list[str]:
    return [key for key in parameters if key.startswith("INIT")]


def _content(init: str) -> int:
    return int(str(init).replace("x", "0"), 2)
