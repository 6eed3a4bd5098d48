"""Fixed-point formats that a user chooses for what is not ternary: ``weight=fixed<8,2>``, ``dense.result=fixed<16,6>``.

Rounding is to the nearest, ties to even; what exceeds a format is clipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from codesign.counting import number_of
from codesign.errors import InputError, ModelError, nearest
from hw.cmodel.values import words
from hw.graph import FixedType

_FORMAT = re.compile(r"(u?)fixed<(\d+),(-?\d+)>")
_WIDEST = 32
INPUT, WEIGHT, RESULT = "input", "weight", "result"


@dataclass(frozen=True)
class Clipped:
    """How many of a layer's weights exceed their format ``kind`` and became its ends, and the largest of them."""

    kind: FixedType
    count: int
    largest: float

    def words(self) -> str:
        """That on one line."""
        low, high = (math.ldexp(end, -self.kind.frac) for end in (self.kind.low, self.kind.high))
        return (
            f"{number_of(self.count, 'weight')} clipped to {words(self.kind)}, which goes from {low:g} to {high:.5g}, "
            f"the largest {self.largest:.5g}"
        )


@dataclass(frozen=True)
class Formats:
    """Of the ``input``, of ``weight`` and ``result`` of every layer, or of one: ``LAYER.weight``, ``LAYER.result``.

    A layer whose weights are -1, 0 and +1 and whose bias and scale are exact needs none, and a ``result`` for all
    leaves it alone.
    """

    chosen: Mapping[str, FixedType]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Formats:
        """From texts such as ``weight=fixed<8,2>``: 8 bits in all, 2 of them before the point, the sign included."""
        chosen = {}
        for text in texts:
            name, _, form = text.replace(" ", "").rpartition("=")
            found = _FORMAT.fullmatch(form)
            if not name or found is None:
                raise InputError(f"--format {text!r} is none; write weight=fixed<8,2> or dense_1.result=fixed<16,6>")
            signed, bits, integer = not found[1], int(found[2]), int(found[3])
            if not 1 + signed <= bits <= _WIDEST:
                raise InputError(f"--format {text!r} has {bits} bits; give {1 + signed} to {_WIDEST}")
            if not -_WIDEST <= integer <= _WIDEST:
                raise InputError(f"--format {text!r} has {integer} before the point; give {-_WIDEST} to {_WIDEST}")
            if name in chosen:
                raise InputError(f"--format {text!r} is the second one of {name!r}; give one")
            chosen[name] = FixedType(signed, bits, bits - integer)
        return cls(chosen)

    def require_layers(self, weighted: Sequence[str], averaging: Sequence[str]) -> None:
        """InputError for a format of what is not in the model: of a layer with weights, or one that averages.

        The latter has a factor, and no format of what it gives.
        """
        of_layers = (f"{layer}.{what}" for layer in weighted for what in (WEIGHT, RESULT))
        known = (INPUT, WEIGHT, RESULT, *of_layers, *(f"{layer}.{WEIGHT}" for layer in averaging))
        for name in self.chosen:
            if name not in known:
                raise InputError(f"--format {name!r} is of nothing in the model; {nearest(name, known)}")

    def require_use(
        self, same: Callable[[Formats | None], bool], weighted: Sequence[str], averaging: Sequence[str]
    ) -> None:
        """InputError for a format without which, and with a finer one, the network is the ``same``, with what it has.

        The layers are those of :meth:`require_layers`; ``same`` may raise ModelError for what needs a format.
        """
        for name, kind in self.chosen.items():
            if name == INPUT:  # which a model that quantizes its input refuses
                continue
            others = {other: one for other, one in self.chosen.items() if other != name}
            finer = {**others, name: FixedType(signed=kind.signed, bits=kind.bits + 1, frac=kind.frac + 1)}
            with suppress(ModelError):
                # without it the format for all may happen to give the same
                if same(Formats(others) if others else None) and same(Formats(finer)):
                    raise InputError(f"--format {name!r} rounds nothing: {self._instead(name, weighted, averaging)}")

    def _instead(self, name: str, weighted: Sequence[str], averaging: Sequence[str]) -> str:
        layer, _, what = name.rpartition(".")
        layers = [*weighted, *(averaging if what == WEIGHT else ())]
        left = [layer] if layer else [one for one in layers if f"{one}.{what}" not in self.chosen]
        if not left:
            return "every layer has a format of its own; leave it out"
        averages = ", averages" if averaging and what == WEIGHT else ""
        exact = f"in {', '.join(left)} kernels are -1, 0, +1, and scales{averages} and biases exact; leave it out"
        return exact + (f", or name a layer: {left[0]}.{RESULT}" if what == RESULT else "")

    @property
    def input(self) -> FixedType | None:
        """Of the input, of a model that does not quantize it."""
        return self.chosen.get(INPUT)

    def weight(self, layer: str) -> FixedType | None:
        """Of the weights or scales of a layer."""
        return self.chosen.get(f"{layer}.{WEIGHT}", self.chosen.get(WEIGHT))

    def result(self, layer: str, *, exact: bool) -> FixedType | None:
        """Of what a layer gives; of an ``exact`` one only if it was named."""
        return self.chosen.get(f"{layer}.{RESULT}", None if exact else self.chosen.get(RESULT))
