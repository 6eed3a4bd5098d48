"""Each node of a Graph as a function in C.

A function is called ``NAME(x, y)`` (of joins ``NAME(x0, x1, ..., y)``), and its tables ``NAME_weights``, ``NAME_bias``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hw.cmodel import templates
from hw.cmodel.values import (
    comment,
    is_ternary,
    literal,
    packed,
    shape_words,
    sum_type,
    table,
    weight_words,
    wide_type,
    words,
)  # fmt: skip
from hw.graph import Ints, Node
from hw.operations import JOINS, LINEAR, Op

Marks = dict[str, object]


@dataclass(frozen=True)
class Context:
    """What a function is written from besides its node: names and types in C, and the values that nodes can take."""

    prefix: str
    nodes: Mapping[str, Node]
    names: Mapping[str, str]
    types: Mapping[str, str]
    reach: Mapping[str, tuple[Ints, Ints]]

    def source(self, node: Node) -> Node:
        """The first node that it reads."""
        return self.nodes[node.sources[0]]

    def shifter(self, wide: str) -> str:
        """Name of the function that divides by a power of two and rounds down."""
        return f"{self.prefix}_floor_shift{wide.removeprefix('int').removesuffix('_t')}"


def function(node: Node, context: Context) -> str:
    """The tables and the function of one node, under a comment that says what it is."""
    sources = [context.nodes[name] for name in node.sources]
    inputs = ", ".join(f"{shape_words(source)} {words(source.type)}" for source in sources)
    heading = f"{comment(node.name)}: {node.op.value} {inputs} -> {shape_words(node)} {words(node.type)}"
    if node.op in LINEAR:
        code = _linear(node, context)
    elif node.op in JOINS:
        code = _join(node, context)
    else:
        code = _plain(node, context)
    return f"/* {heading}{weight_words(node)} */\n{code}"


def _marks(node: Node, context: Context) -> Marks:
    """What every template may name."""
    name = context.names[node.name]
    x = context.types[node.sources[0]]
    return {"f": name, "name": name, "x": x, "y": context.types[node.name], "size": node.size}


def _geometry(node: Node, context: Context, window: tuple[int, ...]) -> Marks:
    """Extents, steps and borders of an operation on images."""
    dims = context.source(node).dims
    top, _, left, _ = (int(border) for border in node.tensors["padding"])
    steps = [int(step) for step in node.tensors.get("stride", np.ones(2, np.int64))]
    return _marks(node, context) | {
        "in_rows": dims[0], "in_columns": dims[1], "channels": dims[2],
        "out_rows": node.dims[0], "out_columns": node.dims[1], "rows": window[0], "columns": window[1],
        "step_rows": steps[0], "step_columns": steps[1], "top": top, "begin": left,
        "up": f" - {top}" if top else "", "left": f" - {left}" if left else "",
    }  # fmt: skip


def _linear(node: Node, context: Context) -> str:
    """A dense layer; of a convolution the same on one window, and what walks over the windows."""
    trits, outputs, name = node.tensors["trits"], node.dims[-1], context.names[node.name]
    ternary, depthwise = is_ternary(node), node.op is Op.DEPTHWISE
    flat = trits.reshape(-1, outputs)
    kind = sum_type(node, context.reach[node.sources[0]])
    stored = table(f"{name}_weights", packed(flat) if ternary else flat)
    marks = _marks(node, context) | {
        "f": name if node.op is Op.DENSE else f"{name}_window", "weight": stored.split()[2], "sum": kind,
        "inputs": len(flat), "outputs": outputs, "whole": len(flat) // 4 * 4,
    }  # fmt: skip
    if depthwise:
        index = "(i / 4) * {0} + o" if ternary else "i * {0} + o"
        weight = f"{name}_weights[{index.format(outputs)}]"
        marks |= {"channels": trits.shape[2], "multiplier": trits.shape[3]}
        marks["w"] = f"(({weight} >> (2 * (i & 3))) & 3) - 1" if ternary else weight
        code = templates.DEPTHWISE.substitute(marks)
    elif ternary:
        rest = templates.PACKED_REST.substitute(marks) if len(flat) % 4 else ""
        code = templates.PACKED.substitute(marks, rest=rest)
    else:
        code = templates.PLAIN.substitute(marks)
    bias = table(f"{name}_bias", np.broadcast_to(node.tensors["bias"], (outputs,)))
    whole = stored + bias + code
    return whole if node.op is Op.DENSE else whole + _windows(node, context)


def _windows(node: Node, context: Context) -> str:
    trits = node.tensors["trits"]
    marks = _geometry(node, context, trits.shape[:2])
    marks |= {"inputs": trits.shape[0] * trits.shape[1] * trits.shape[2], "outputs": node.dims[-1]}
    fill = templates.AT_BORDER if node.tensors["padding"].any() else templates.INSIDE
    return templates.WINDOWS.substitute(marks, fill=fill.substitute(marks))


def _join(node: Node, context: Context) -> str:
    marks, scales = _marks(node, context), [1 << int(shift) for shift in node.tensors["shift"]]
    kinds = [context.types[name] for name in node.sources]
    arguments = ", ".join(f"const {kind} *x{i}" for i, kind in enumerate(kinds))
    ends = [end * scale for name, scale in zip(node.sources, scales, strict=True) for end in context.reach[name]]
    largest = sum(np.abs(end).max() for end in ends)  # no less than the magnitude of any partial sum
    wide = wide_type(np.array([largest, *scales]))
    if node.op is Op.ADD:
        terms = " + ".join(f"({wide})x{i}[i] * {literal(scale)}" for i, scale in enumerate(scales))
        return templates.ELEMENTS.substitute(marks, arguments=arguments, body=f"y[i] = ({marks['y']})({terms});")
    copies = "".join(
        templates.CONCAT_ONE.substitute(
            marks | {"x": f"({wide})*x{i}++"}, channels=context.nodes[name].dims[-1], scale=literal(scale)
        )
        for i, (name, scale) in enumerate(zip(node.sources, scales, strict=True))
    )
    return templates.CONCAT.substitute(marks, arguments=arguments, copies=copies, pixels=node.size // node.dims[-1])


def _plain(node: Node, context: Context) -> str:
    """An operation without weights on one input."""
    tensors = node.tensors
    if node.op is Op.MAXPOOL:
        window = tuple(int(extent) for extent in tensors["window"])
        return templates.MAXPOOL.substitute(_geometry(node, context, window))
    if node.op is Op.PAD:
        _, columns, channels = context.source(node).dims
        return templates.PAD.substitute(_geometry(node, context, (1, 1)), row=columns * channels)
    if node.op is Op.ARGMAX:
        return templates.ARGMAX.substitute(_marks(node, context), inputs=context.source(node).size)
    marks, tables = _marks(node, context), ""
    threshold = literal(int(tensors.get("threshold", 0)))
    match node.op:
        case Op.AFFINE:
            tables, body = _affine(node, context, marks)
        case Op.QUANTIZE:
            body = _quantize(node, context, marks)
        case Op.DIVIDE:
            body = _divide(node, context, marks)
        case Op.TERNARY:
            body = _compare(node, context, f"(v >= {threshold}) - (v <= -{threshold})")
        case Op.BINARY:
            body = _compare(node, context, "v >= 0 ? 1 : -1")
        case _:
            raise AssertionError(f"{node.op} has no function of its own")
    return tables + templates.ELEMENTS.substitute(marks, arguments=f"const {marks['x']} *x", body=body)


def _affine(node: Node, context: Context, marks: Marks) -> tuple[str, str]:
    """Tables and body of a scale, a power of two, and an offset of each channel."""
    scale, bias, name = 1 << node.tensors["shift"], node.tensors["bias"], marks["name"]
    largest = max(int(np.abs(end).max()) for end in context.reach[node.name]) + int(np.abs(bias).max())
    wide = wide_type(np.array(largest), scale)  # a product is the result without its bias
    tables = table(f"{name}_scale", scale, wide) + table(f"{name}_bias", bias, wide)
    channel = "i" if len(node.dims) == 1 else f"i % {node.dims[-1]}"
    return tables, f"y[i] = ({marks['y']})(x[i] * {name}_scale[{channel}] + {name}_bias[{channel}]);"


def _compare(node: Node, context: Context, result: str) -> str:
    """A body that compares the element as ``v``, signed: of an unsigned one some comparisons are known beforehand."""
    wide = wide_type(*context.reach[node.sources[0]], node.tensors.get("threshold", np.array(0)))
    return f"{{\n        const {wide} v = x[i];\n        y[i] = ({context.types[node.name]})({result});\n    }}"


def _divide(node: Node, context: Context, marks: Marks) -> str:
    divisor, low, high = (int(node.tensors[key]) for key in ("divisor", "low", "high"))
    largest = max(int(np.abs(end).max()) for end in context.reach[node.sources[0]])
    wide = wide_type(np.array([largest + divisor, 2 * divisor, low, high]))
    more = {"wide": wide, "low": literal(low), "high": literal(high), "divisor": literal(divisor)}
    return templates.DIVIDE.substitute(marks | more)


def _quantize(node: Node, context: Context, marks: Marks) -> str:
    shift, low, high = (int(node.tensors[key]) for key in ("shift", "low", "high"))
    largest = max(int(np.abs(end).max()) for end in context.reach[node.sources[0]])
    wide = wide_type(np.array([largest + (1 << shift), low, high]))
    half = (1 << (shift - 1)) - 1 if shift else 0
    more: Marks = {"wide": wide, "low": literal(low), "high": literal(high), "shift": shift, "half": literal(half)}
    more["floor_shift"] = context.shifter(wide)
    rounding = templates.ROUND.substitute(more) if shift else ""
    return templates.QUANTIZE.substitute(marks | more, round=rounding)
