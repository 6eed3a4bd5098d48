"""Names, types and tables of C for the values of a Graph."""

from __future__ import annotations

import re
import textwrap

import numpy as np

from hw.graph import FixedType, Graph, Ints, Node
from hw.operations import LINEAR, Op

_COLUMNS = 100
_WIDTHS = (8, 16, 32, 64)
_PROMOTED = 16
"""Up to so many bits an unsigned operand becomes an int, so that comparing it with a negative number is right."""

_OF_HEADER = (
    *("run", "input_t", "output_t", "floor_shift32", "floor_shift64"),
    *("H", "GRAPH", "INPUTS", "OUTPUTS", "INPUT_FRAC", "OUTPUT_FRAC", "INPUT_LOW", "INPUT_HIGH"),
)
_ENDS = ("", "_weights", "_bias", "_scale", "_window")
"""What a layer's functions and tables are called after its name."""


def identifier(text: str) -> str:
    """``text`` as part of a name in C."""
    return re.sub(r"\W", "_", text, flags=re.ASCII)


def comment(text: str) -> str:
    """``text`` where it can neither end nor begin a comment."""
    return re.sub(r"[^\w .,:()<>\[\]+-]", "_", text)


def layer_names(graph: Graph, prefix: str) -> dict[str, str]:
    """The name in C of each node: with the names of its tables, no name of another's and none of the header's own."""
    names: dict[str, str] = {}
    taken = {f"{prefix}_{name}" for name in _OF_HEADER}
    for node in graph:
        name = f"{prefix}_{identifier(node.name)}"
        while not taken.isdisjoint(own := {name + end for end in _ENDS}):
            name += "_"
        names[node.name] = name
        taken |= own
    return names


def c_type(low: int, high: int) -> str:
    """The narrowest exact-width type that holds ``low`` to ``high``; unsigned only where C makes an int of it."""
    for width in _WIDTHS:
        kind = FixedType(low < 0 or width > _PROMOTED, width, 0)
        if kind.low <= low and high <= kind.high:
            return f"{'' if kind.signed else 'u'}int{width}_t"
    raise AssertionError(f"{low}..{high} is in no integer type of C")


def types_of(graph: Graph) -> dict[str, str]:
    """The type in C of each node's elements: the narrowest for every value that any input can lead to."""
    return {name: c_type(int(low.min()), int(high.max())) for name, (low, high) in graph.reach().items()}


def sum_type(node: Node, source: tuple[Ints, Ints]) -> str:
    """The type in which a layer with weights adds, in any order, also of weights that are stored as weight + 1."""
    assert node.op in LINEAR
    largest = int(max(np.abs(end).max() for end in source))
    trits = node.tensors["trits"]
    terms = trits.size // trits.shape[-1]
    bound = int(np.abs(node.tensors["bias"]).max(initial=0)) + 3 * terms * largest * int(np.abs(trits).max(initial=1))
    return "int32_t" if bound < 1 << 31 else "int64_t"


def wide_type(*ends: Ints) -> str:
    """The signed type, of 32 bits or more, for arithmetic on values of these magnitudes."""
    largest = max(int(np.abs(end).max(initial=0)) for end in ends)
    return "int32_t" if largest < 1 << 31 else "int64_t"


def is_ternary(node: Node) -> bool:
    """Whether a layer's weights are all -1, 0 or +1."""
    return bool((np.abs(node.tensors["trits"]) <= 1).all())


def packed(trits: Ints) -> Ints:
    """Ternary weights (inputs, outputs), four inputs a byte: bits 2i and 2i + 1 are weight + 1 of input 4j + i."""
    inputs, outputs = trits.shape
    codes = np.ones((-(-inputs // 4) * 4, outputs), np.int64)  # what is beyond the last input is 0
    codes[:inputs] += trits
    quads = codes.reshape(-1, 4, outputs)
    return np.asarray((quads << np.array([0, 2, 4, 6])[None, :, None]).sum(axis=1))


def table(name: str, values: Ints, kind: str | None = None) -> str:
    """A constant array of the narrowest type, or of ``kind``."""
    flat = [int(value) for value in values.reshape(-1)]
    kind = kind or c_type(min(flat), max(flat))
    numbers = ", ".join(literal(value) for value in flat)
    lines = textwrap.wrap(numbers, _COLUMNS - 4, break_long_words=False, break_on_hyphens=False)
    body = "\n".join(f"    {line}" for line in lines)
    return f"static const {kind} {name}[{len(flat)}] = {{\n{body}\n}};\n"


def literal(value: int) -> str:
    """An integer constant of any width."""
    return str(value) if abs(value) < 1 << 31 else f"INT64_C({value})"


def words(kind: FixedType) -> str:
    """``fixed<W,I>`` or ``ufixed<W,I>``: bits in all, and before the point."""
    return f"{'' if kind.signed else 'u'}fixed<{kind.bits},{kind.bits - kind.frac}>"


def shape_words(node: Node) -> str:
    """``[rows][columns][channels]`` or ``[elements]``."""
    return "".join(f"[{extent}]" for extent in node.dims)


def weight_words(node: Node) -> str:
    """What the weights of a layer are, for its comment."""
    if node.op not in LINEAR:
        return ""
    if is_ternary(node) and node.op is not Op.DEPTHWISE:
        return "; ternary weights, four a byte"
    low, high = node.tensors["trits"].min(), node.tensors["trits"].max()
    return f"; weights {low} to {high}"
