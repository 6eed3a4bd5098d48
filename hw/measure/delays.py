"""Delays per family and speed grade: the coefficients of the timing model and the estimates made before synthesis.

The form is that which :mod:`hw.measure.net_forms` chooses, and two coefficients are fitted
(:mod:`hw.measure.calibrate`):

* cells: constants of the family (``delays.toml``, each with its source);
* a net between slices: ``(base + per_fanout * f) * (size / 2000) ** 0.4``. ``f`` counts sink pins up to 8 and
  grows with the logarithm beyond, up to that of 64 pins: none of a fitted design has more than 52, and in vendor
  timing reports of xc7z020 and xc7a35t routed nets of hundreds of pins are no slower than those of 32-63.
  ``size`` counts what is placed, LUTs and registers: a deep pipeline lies as far apart as one of more logic. Its power
  is the growth of the mean wire length with the number of placed cells, N ** (p - 1/2), for Rent exponent p = 0.9
  (Donath 1979). Outside 500..8,000 it is clamped: nets are at most 11 % shorter than in the smallest fitted design,
  and 11 % longer than in the largest. In vendor timing reports of UltraScale+ designs of 8,000, 20,000 and 177,000
  LUTs and registers, routed nets of up to three pins take 0.14, 0.22 and 0.14 ns (medians): no growth to go on with.
* nets within a slice (a LUT into the carry bit or register it shares a slice with) cost nothing.
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import TargetError, nearest
from codesign.target import Part

FANOUT_KNEE = 8
FANOUT_MOST = 64
SIZE_EXPONENT = 0.4
SIZE_REFERENCE = 2000
SIZE_RANGE = (500, 8_000)
CARRY_BITS = {"xc7": 4, "xcup": 8}


def size_factor(size: float, exponent: float = SIZE_EXPONENT) -> float:
    """How much longer the nets of a design of this many LUTs and registers are than those of one of 2,000."""
    low, high = SIZE_RANGE
    return float((min(max(size, low), high) / SIZE_REFERENCE) ** exponent)


def effective_fanout(pins: npt.NDArray[np.float64], knee: float = FANOUT_KNEE) -> npt.NDArray[np.float64]:
    """Sink pins as the delay sees them: linear up to the knee, then logarithmic, level from 64 on."""
    pins = np.minimum(pins, FANOUT_MOST)
    return np.minimum(pins, knee * (1.0 + np.log(np.maximum(pins, knee) / knee)))


@dataclass(frozen=True)
class DelayModel:
    """All delays of one family at one speed grade, in ns, for a design of ``size`` LUTs and registers.

    ``adder``, ``logic`` and ``register_overhead`` serve the placing of registers before synthesis:
    a path from register to register takes ``register_overhead()`` plus the sum of its stages.
    ``fanout`` counts sink *pins* of the net that enters the stage: an operand bit of one adder is one
    or two pins (LUT and carry DI), a sign bit two per bit it is extended over.
    """

    family: str
    speed_grade: str
    cells: Mapping[str, float]
    net_base: float
    net_per_fanout: float
    calibrated: bool
    error: Mapping[str, Any]
    size: float = SIZE_REFERENCE
    knee: float = FANOUT_KNEE

    @classmethod
    def for_part(cls, part: Part, size: float = SIZE_REFERENCE) -> DelayModel:
        """The model of the part's family and grade; TargetError where there is none."""
        return replace(_model(part.family, part.speed_grade), size=size)

    @property
    def fit(self) -> str:
        """A short digest of the net delays, which another fit changes."""
        return hashlib.sha256(f"{self.net_base!r} {self.net_per_fanout!r}".encode()).hexdigest()[:6]

    @property
    def carry_bits(self) -> int:
        """Bits of the family's carry cell."""
        return CARRY_BITS[self.family]

    def nets(self, pins: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Delays of nets with these numbers of sink pins."""
        return (self.net_base + self.net_per_fanout * effective_fanout(pins, self.knee)) * size_factor(self.size)

    def net(self, fanout: float) -> float:
        """Delay of one net between slices."""
        return float(self.nets(np.array([float(fanout)]))[0])

    def adder(self, width: int, fanout: int, operands: int = 2) -> float:
        """A ``width``-bit carry-chain adder, from its input net (included) to its slowest sum bit.

        With three operands the carry that a LUT saves goes by a net of two pins to the LUT above and its chain.
        """
        cells = self.cells
        chain = 0.0
        if width > 1:
            chain = max(cells["carry_s_co"], cells["carry_di_co"]) + cells["carry_ci_o"]
            chain += (width - 2) * cells["carry_bit"]
        saved = self.net(2) + cells["lut"] if operands == 3 else 0.0
        return self.net(fanout) + cells["lut"] + saved + max(cells["carry_s_o"], chain)

    def logic(self, levels: int, fanout: int) -> float:
        """``levels`` LUTs in a row: the first fed by a net of ``fanout`` pins, the others by nets of one pin."""
        if levels < 1:
            return 0.0
        return self.net(fanout) + (levels - 1) * self.net(1) + levels * self.cells["lut"]

    def register_overhead(self) -> float:
        """Clock-to-out, setup and the net from the last stage into the register."""
        return self.cells["clock_to_out"] + self.cells["setup"] + self.net(1)


def grade_factor(part: Part) -> float:
    """By what the delays of the family's reference grade are multiplied for the part's."""
    return float(_table("delays.toml")[part.family]["grades"][part.speed_grade]["factor"])


def fitted_nets(family: str) -> Mapping[str, Any]:
    """The family's net delays as they are kept: ``net``, and ``error`` where they are fitted to routed designs."""
    found: Mapping[str, Any] = _table("fitted.toml")[family]
    return found


@functools.cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("hw.measure").joinpath(name).read_text(encoding="utf-8"))


@functools.cache
def _model(family: str, speed_grade: str) -> DelayModel:
    constants, fitted = _table("delays.toml"), _table("fitted.toml")
    if family not in constants:
        raise TargetError(f"no delays for family {family!r}: {nearest(family, constants)}")
    grades = constants[family]["grades"]
    if speed_grade not in grades:
        raise TargetError(f"no delays for speed grade {speed_grade!r} of {family}: {nearest(speed_grade, grades)}")
    factor = grades[speed_grade]["factor"]
    net = fitted[family]["net"]
    calibrated = "error" in fitted[family] and speed_grade == fitted[family]["error"]["grade"]
    return DelayModel(
        family=family,
        speed_grade=speed_grade,
        cells={name: cell["ns"] * factor for name, cell in constants[family]["cells"].items()},
        net_base=net["base_ns"] * factor,
        net_per_fanout=net["per_fanout_ns"] * factor,
        calibrated=calibrated,
        error=fitted[family]["error"] if calibrated else {},
    )
