"""Host format: how real values become input words, and output words become values.

This file needs NumPy and nothing else, and runs on Python 3.10: the board uses a copy of it. An element's real value
is ``integer * 2**-frac``. Input elements are packed without gaps, element 0 in the lowest bits of word 0. An image is a
frame of several beats, its pixels row by row: a word holds as many whole pixels as fit and divide the image, or a pixel
fills whole words. Every output element fills ``bits`` bits (8, 16 or 32). A frame is a whole number of little-endian
words; what is left is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
_DTYPES = {32: "<u4", 64: "<u8"}


@dataclass(frozen=True)
class Elements:
    """``size`` elements a frame, each of ``bits`` bits (1 to 32), ``frac`` of them after the point.

    ``beats``: equal parts of a frame that come one after the other, the pixels of an image.
    """

    size: int
    bits: int
    signed: bool
    frac: int
    beats: int = 1

    def __post_init__(self) -> None:
        """Reject what no frame can hold."""
        if self.size < 1 or not 1 <= self.bits <= 32:
            raise ValueError(f"a frame of {self.size} elements of {self.bits} bits cannot be; 1 to 32 bits each")
        if self.beats < 1 or self.size % self.beats:
            raise ValueError(f"a frame of {self.size} elements has no {self.beats} equal beats")

    @property
    def low(self) -> int:
        """Smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer."""
        return (1 << (self.bits - int(self.signed))) - 1


@dataclass(frozen=True)
class HostFormat:
    """Frames of one accelerator in words of ``word_bits`` (32 or 64)."""

    word_bits: int
    input: Elements
    output: Elements

    def __post_init__(self) -> None:
        """Reject widths without a word type."""
        if self.word_bits not in _DTYPES:
            raise ValueError(f"word_bits is {self.word_bits}; it is 32 or 64")
        if self.output.bits not in {8, 16, 32}:
            raise ValueError(f"output elements have {self.output.bits} bits; they have 8, 16 or 32")
        if self.output.beats != 1:
            raise ValueError(f"output frames have {self.output.beats} beats; they have 1")

    @property
    def beats_per_word(self) -> int:
        """Beats of an input frame in a word; 1 where a beat fills whole words."""
        most = min(self.word_bits // self._beat_bits, self.input.beats)
        return next((count for count in range(most, 1, -1) if self.input.beats % count == 0), 1)

    @property
    def input_words(self) -> int:
        """Words of an input frame."""
        groups = self.input.beats // self.beats_per_word
        return groups * -(-self.beats_per_word * self._beat_bits // self.word_bits)

    @property
    def output_words(self) -> int:
        """Words of an output frame."""
        return -(-self.output.size * self.output.bits // self.word_bits)

    def quantize(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Integers of real ``values``, same shape: nearest, ties to even, saturated. ValueError where one is NaN."""
        scaled = np.rint(np.ldexp(np.asarray(values, np.float64), self.input.frac))
        if np.isnan(scaled).any():
            raise ValueError(f"{int(np.isnan(scaled).sum())} input values are NaN")
        return np.clip(scaled, self.input.low, self.input.high).astype(np.int64)

    def encode(self, integers: NDArray[Any]) -> NDArray[Any]:
        """Input words (n, input_words) of integers (n, size); ValueError where shape, type or range is wrong."""
        integers = np.asarray(integers)
        kind = self.input
        if integers.ndim != 2 or integers.shape[1] != kind.size or integers.dtype.kind not in "iu":
            raise ValueError(
                f"inputs must be integers of shape (n, {kind.size}), not {integers.dtype} {integers.shape}"
            )
        if integers.size and not (kind.low <= integers.min() and integers.max() <= kind.high):
            raise ValueError(f"inputs {integers.min()} to {integers.max()} exceed {kind.low} to {kind.high}")
        octets = integers.astype("<i8", order="C")[:, :, None].view(np.uint8)[:, :, :4]
        bits = np.unpackbits(octets, axis=2, bitorder="little")[:, :, : kind.bits]
        count, groups, filled = len(integers), kind.beats // self.beats_per_word, self.beats_per_word * self._beat_bits
        frames = np.zeros((count, groups, self.input_words // groups * self.word_bits), np.uint8)
        frames[:, :, :filled] = bits.reshape(count, groups, filled)
        packed = np.packbits(frames.reshape(count, self.input_words * self.word_bits), axis=1, bitorder="little")
        return packed.view(_DTYPES[self.word_bits])

    def decode(self, words: NDArray[Any]) -> NDArray[np.int64]:
        """Output integers (n, size) of words (n, output_words); ValueError where shape or type is wrong."""
        words = np.ascontiguousarray(words)
        if words.ndim != 2 or words.shape[1] != self.output_words or words.dtype != np.dtype(_DTYPES[self.word_bits]):
            expected = f"{_DTYPES[self.word_bits]} of shape (n, {self.output_words})"
            raise ValueError(f"output words must be {expected}, not {words.dtype} {words.shape}")
        kind = f"<{'i' if self.output.signed else 'u'}{self.output.bits // 8}"
        return words.view(kind)[:, : self.output.size].astype(np.int64)

    def to_real(self, integers: NDArray[Any]) -> NDArray[np.float64]:
        """Real values of output integers, same shape."""
        return np.ldexp(np.asarray(integers, np.float64), -self.output.frac)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"format": FORMAT, "byte_order": "little", **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> HostFormat:
        """Inverse of :meth:`to_json`; ValueError where keys or the version are others."""
        if (values.get("format"), values.get("byte_order")) != (FORMAT, "little"):
            found = f"format {values.get('format')!r}, byte order {values.get('byte_order')!r}"
            raise ValueError(f"{found} is not what this version reads: format {FORMAT}, byte order 'little'")
        rest = {key: value for key, value in values.items() if key not in {"format", "byte_order"}}
        try:
            return cls(rest.pop("word_bits"), Elements(**rest.pop("input")), Elements(**rest.pop("output")), **rest)
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is not a host format: {error}") from None

    @property
    def _beat_bits(self) -> int:
        return self.input.size // self.input.beats * self.input.bits
