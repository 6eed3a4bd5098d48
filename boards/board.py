"""Board: its part, and what its boot image has made of the processing system that an overlay sits beside."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codesign.errors import TargetError, nearest

KINDS = ("zynq-7000", "zynq-ultrascale+")
DIVISOR = 63
"""Largest value of each of the two dividers between the PLL and the fabric clock, on both kinds."""
BOARD_KEYS: Mapping[str, type] = {**dict.fromkeys(("name", "title", "part", "source"), str), "ps": dict}
PS_KEYS: Mapping[str, type] = {
    "kind": str, "reference_mhz": float, "pll_mhz": float, "ddr_mib": int, "preset": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Clock:
    """A fabric clock: what the PLL divided by ``divisor`` gives, and the frequency to ask Vivado for to get it."""

    mhz: float
    divisor: int
    request_mhz: float


@dataclass(frozen=True)
class ProcessingSystem:
    """The processing system as the board's boot image sets it up; an overlay changes none of it but the divider.

    ``reference_mhz`` is its crystal, ``pll_mhz`` the I/O PLL that clocks the fabric, ``ddr_mib`` the memory that a DMA
    may reach. ``preset`` are properties of Vivado's cell without which it would assume another PLL.
    """

    kind: str
    reference_mhz: float
    pll_mhz: float
    ddr_mib: int
    preset: Mapping[str, str]

    def clock(self, wanted_mhz: float) -> Clock:
        """The fastest clock that is not above ``wanted_mhz``; TargetError where the PLL cannot be divided that far."""
        least = math.ceil(self.pll_mhz / wanted_mhz - 1e-6)
        for divisor in range(max(least, 1), DIVISOR * DIVISOR + 1):
            if any(divisor % first == 0 and divisor // first <= DIVISOR for first in range(1, DIVISOR + 1)):
                made = self.pll_mhz / divisor
                # Vivado takes the nearest divisor on one kind, the nearest above on the other: a hair more suits both
                return Clock(made, divisor, min(wanted_mhz, made * 1.0005))
        slowest = self.pll_mhz / DIVISOR**2
        raise TargetError(f"clock_mhz = {wanted_mhz:g} is too slow: the PLL gives {slowest:.3g} MHz at the least")


@dataclass(frozen=True)
class Board:
    """A board: ``part`` is a name or a file beside the board's own; without ``ps`` no bitstream can be made for it."""

    name: str
    title: str
    part: str
    ps: ProcessingSystem | None


def processing_system(values: Mapping[str, Any], where: str) -> ProcessingSystem:
    """The ``[ps]`` table of a board's file, whose keys have been checked."""
    if values["kind"] not in KINDS:
        raise TargetError(f"{where}: unknown kind {values['kind']!r}: {nearest(values['kind'], KINDS)}")
    for key in ("reference_mhz", "pll_mhz", "ddr_mib"):
        if not (math.isfinite(values[key]) and values[key] > 0):
            raise TargetError(f"{where}: {key} = {values[key]!r} must be positive")
    size = values["ddr_mib"]
    if size & (size - 1) or size > 2048:  # an address segment is a power of two, and the DMA has 32-bit addresses
        raise TargetError(f"{where}: ddr_mib = {size} must be a power of two, at most 2048")
    for key, value in values["preset"].items():
        if type(value) is not str:
            raise TargetError(f"{where}: preset.{key} = {value!r} must be a text")
        if not (re.fullmatch(r"\w+", key) and re.fullmatch(r"[\w .,:+/<>-]*", value)):  # they become Tcl
            raise TargetError(f"{where}: preset.{key} = {value!r} is no property of a cell")
    return ProcessingSystem(**values)
