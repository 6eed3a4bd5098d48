"""Stage: one dense ternary layer with its activation, as integers.

It is what a folded layer is emitted from and, through :meth:`Stage.run`, what that RTL must equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codesign.errors import ModelError
from hw.graph import FixedType, reach, round_half_even
from hw.operations import divide_half_even

Integers = NDArray[np.int64]

MAX_BITS = 48
"""Widest sum a stage may have: far above any real layer, and int64 stays exact."""


@dataclass(frozen=True)
class Linear:
    """The sum itself."""


@dataclass(frozen=True)
class Quantize:
    """``clip(round_half_even(v / 2**shift), low, high)``: QKeras' quantized_relu and quantized_bits."""

    shift: int
    low: int
    high: int

    def __post_init__(self) -> None:
        """Reject what is no quantizer."""
        if self.shift < 0:
            raise ModelError(f"shift must be 0 or more, not {self.shift}: fold a left shift into `up` and `bias`")
        if self.low > self.high:
            raise ModelError(f"low {self.low} is above high {self.high}: swap them")


@dataclass(frozen=True)
class Divide:
    """``clip(round_half_even(v / divisor), low, high)``: the same quantizers of a mean, for its sum ``v``."""

    divisor: int
    low: int
    high: int


@dataclass(frozen=True)
class Ternary:
    """+1 where ``v >= threshold``, -1 where ``v <= -threshold``, else 0."""

    threshold: int

    def __post_init__(self) -> None:
        """Reject overlapping regions."""
        if self.threshold < 1:
            raise ModelError(f"a ternary threshold must be at least 1, not {self.threshold}: scale it to v")


@dataclass(frozen=True)
class Binary:
    """+1 where ``v >= 0``, else -1."""


Activation = Linear | Quantize | Divide | Ternary | Binary


@dataclass(frozen=True, eq=False)
class Stage:
    """One layer: ``v[c] = (sum_i x[i] * weights[i, c] << up[c]) + bias[c]``, then ``activation(v)``.

    ``weights``: trits (n_in, n_out); ``up`` (>= 0) and ``bias``: one integer per output. A ternary
    input is -1, 0 or +1 in 2 bits of two's complement.
    ``input_low`` and ``input_high`` narrow the range that the format allows; of a binary input, which is ternary too,
    no value is 0.
    Arrays are copied and read-only. Raises ModelError naming the stage where a value cannot be built.
    """

    name: str
    weights: NDArray[np.int8]
    input_bits: int
    input_signed: bool
    input_ternary: bool
    up: Integers
    bias: Integers
    activation: Activation
    input_low: int | None = None
    input_high: int | None = None
    input_binary: bool = False

    def __post_init__(self) -> None:
        """Copy the arrays and check everything once."""
        weights = np.asarray(self.weights)
        if weights.ndim != 2 or 0 in weights.shape:
            self._reject(f"weights must have shape (n_in, n_out), not {weights.shape}")
        if not np.isin(weights, (-1, 0, 1)).all():
            self._reject(f"weights must be -1, 0 or 1, not {weights[~np.isin(weights, (-1, 0, 1))][0]}")
        outputs = weights.shape[1]
        object.__setattr__(self, "weights", _frozen(weights, np.int8))
        for name in ("up", "bias"):
            values = np.asarray(getattr(self, name))
            if values.shape != (outputs,) or values.dtype.kind not in "iu":
                self._reject(f"{name} must be {outputs} integers, not {values.dtype} of shape {values.shape}")
            object.__setattr__(self, name, _frozen(values, np.int64))
        if self.up.min() < 0:
            self._reject(f"up must be 0 or more, not {self.up.min()}: scale the stage's lattice instead")
        self._check_input()
        if self.value_bits > MAX_BITS or int(self.up.max()) > MAX_BITS:
            self._reject(f"sums need {self.value_bits} bits; at most {MAX_BITS} are built")

    def _check_input(self) -> None:
        wires = np.count_nonzero(self.weights, axis=0).max() <= 1  # an input alone may be the sum of an image
        most = MAX_BITS if wires else 16
        if not 1 <= self.input_bits <= most:
            self._reject(f"input_bits must be 1 to {most}, not {self.input_bits}")
        if self.input_ternary and (self.input_bits, self.input_signed) != (2, True):
            self._reject(f"a ternary input is signed with 2 bits, not {self.input_bits}, signed={self.input_signed}")
        if self.input_binary and not self.input_ternary:
            self._reject("a binary input is ternary, too")
        low, high = self._format_range
        if not low <= self.x_low <= self.x_high <= high:
            self._reject(f"inputs {self.x_low} to {self.x_high} do not fit the format's {low} to {high}")

    def _reject(self, reason: str) -> None:
        raise ModelError(f"stage {self.name!r}: {reason}")

    @property
    def n_in(self) -> int:
        """Inputs."""
        return int(self.weights.shape[0])

    @property
    def n_out(self) -> int:
        """Outputs."""
        return int(self.weights.shape[1])

    @property
    def _format_range(self) -> tuple[int, int]:
        if self.input_ternary:
            return -1, 1
        if self.input_signed:
            return -(1 << (self.input_bits - 1)), (1 << (self.input_bits - 1)) - 1
        return 0, (1 << self.input_bits) - 1

    @property
    def x_low(self) -> int:
        """Smallest input."""
        return self._format_range[0] if self.input_low is None else self.input_low

    @property
    def x_high(self) -> int:
        """Largest input."""
        return self._format_range[1] if self.input_high is None else self.input_high

    @property
    def acc_low(self) -> Integers:
        """Smallest sum of each channel."""
        return self._acc_reach[0]

    @property
    def acc_high(self) -> Integers:
        """Largest sum of each channel."""
        return self._acc_reach[1]

    @cached_property
    def _acc_reach(self) -> tuple[Integers, Integers]:
        low, high = np.full(self.n_in, self.x_low), np.full(self.n_in, self.x_high)
        return reach(self.weights.astype(np.int64), low, high)

    @property
    def value_low(self) -> int:
        """Smallest ``v`` of all channels."""
        return min((low << up) + bias for low, up, bias in self._columns(self.acc_low))

    @property
    def value_high(self) -> int:
        """Largest ``v`` of all channels."""
        return max((high << up) + bias for high, up, bias in self._columns(self.acc_high))

    def _columns(self, sums: Integers) -> list[tuple[int, int, int]]:
        return list(zip(sums.tolist(), self.up.tolist(), self.bias.tolist(), strict=True))

    @cached_property
    def value_bits(self) -> int:
        """Two's complement bits that hold every ``v``."""
        return FixedType.holding(min(self.value_low, -1), self.value_high).bits

    @property
    def output_low(self) -> int:
        """Smallest output that inputs within range can give."""
        return int(self._activate(np.array([self.value_low]))[0])

    @property
    def output_high(self) -> int:
        """Largest output that inputs within range can give."""
        return int(self._activate(np.array([self.value_high]))[0])

    @property
    def output_ternary(self) -> bool:
        """Whether outputs are trits (a binary output is a trit that is never 0)."""
        return isinstance(self.activation, Ternary | Binary)

    @property
    def output_binary(self) -> bool:
        """Whether outputs are trits that are never 0."""
        return isinstance(self.activation, Binary)

    @property
    def output_range(self) -> tuple[int, int]:
        """Range that sets the output's format: the quantizer's own, or that of the sums where there is none."""
        match self.activation:
            case Quantize(low=low, high=high) | Divide(low=low, high=high):
                return low, high
            case Linear():
                return self.value_low, self.value_high
            case _:
                return -1, 1

    @property
    def output_signed(self) -> bool:
        """Whether the output format is two's complement."""
        return self.output_range[0] < 0

    @property
    def output_bits(self) -> int:
        """Bits per output; 2 for trits."""
        return FixedType.holding(*self.output_range).bits

    def run(self, x: ArrayLike) -> Integers:
        """Compute outputs (n, n_out) of input vectors (n, n_in): the golden model of the stage."""
        values = np.asarray(x)
        if values.ndim != 2 or values.shape[1] != self.n_in or values.dtype.kind not in "iu":
            self._reject(f"inputs must be integers of shape (n, {self.n_in}), not {values.dtype} of {values.shape}")
        if values.size and not (self.x_low <= values.min() and values.max() <= self.x_high):
            self._reject(f"inputs {values.min()} to {values.max()} leave the range {self.x_low} to {self.x_high}")
        sums: Integers = values.astype(np.int64) @ self.weights.astype(np.int64)
        return self._activate((sums << self.up) + self.bias)

    def activate_at(self, channel: int, total: int) -> int:
        """Output of one channel for one value of its sum."""
        value = (total << int(self.up[channel])) + int(self.bias[channel])
        return int(self._activate(np.array([value]))[0])

    def _activate(self, values: Integers) -> Integers:
        match self.activation:
            case Linear():
                return values
            case Quantize(shift=shift, low=low, high=high):
                return np.clip(round_half_even(values, shift), low, high)
            case Divide(divisor=divisor, low=low, high=high):
                return np.clip(divide_half_even(values, divisor), low, high)
            case Ternary(threshold=threshold):
                return (values >= threshold).astype(np.int64) - (values <= -threshold)
            case Binary():
                return np.where(values >= 0, np.int64(1), np.int64(-1))


def _frozen(values: ArrayLike, dtype: type[np.generic]) -> NDArray[np.generic]:
    copy = np.array(values, dtype=dtype)
    copy.setflags(write=False)
    return copy
