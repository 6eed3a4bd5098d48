"""A Graph as one C99 header."""

from __future__ import annotations

import numpy as np

from hw.cmodel import templates
from hw.cmodel.layers import Context, function
from hw.cmodel.values import comment, identifier, layer_names, literal, shape_words, types_of, words
from hw.graph import Graph, Node
from hw.operations import Op


def prefix_of(name: str) -> str:
    """What every name of a network's header begins with."""
    made = identifier(name)
    return made if made[:1].isalpha() else f"net_{made}"


def header(graph: Graph, name: str, origin: str) -> str:
    """The text of ``PREFIX.h``: ``PREFIX_run(x, y)`` computes what ``graph.run`` does, for every input.

    ``name`` gives the prefix, ``origin`` says in a word what wrote it.
    """
    prefix = prefix_of(name)
    names = layer_names(graph, prefix)
    context = Context(prefix, {node.name: node for node in graph}, names, types_of(graph), graph.reach())
    functions = [function(node, context) for node in graph.nodes[1:] if node.op is not Op.RESHAPE]
    shifters = [
        templates.FLOOR_SHIFT.substitute(name=context.shifter(wide), wide=wide)
        for wide in ("int32_t", "int64_t")
        if any(f"{context.shifter(wide)}(" in text for text in functions)
    ]
    parts = [_opening(graph, prefix, name, origin, context), *shifters, *functions, _run(graph, context)]
    return "\n".join(parts) + f"\n#endif /* {prefix}_H */\n"


def _opening(graph: Graph, prefix: str, name: str, origin: str, context: Context) -> str:
    first, last = graph.input, graph.output
    kind = {side: context.types[node.name] for side, node in (("input", first), ("output", last))}
    return f"""\
/* {comment(name)}: an integer network as C99, written by {comment(origin)}.
 *
 *   {prefix}_input_t x[{prefix}_INPUTS];    {shape_words(first)} {words(first.type)}
 *   {prefix}_output_t y[{prefix}_OUTPUTS];  {shape_words(last)} {words(last.type)}
 *   {prefix}_run(x, y);
 *
 * fixed<W,I> is an integer of W bits whose real value is the integer / 2^(W - I), ufixed<W,I> one without a sign.
 * Images are stored row by row, the channels of a pixel together. Every operation is on integers and exact: the order
 * of sums makes no difference. Nothing is allocated or kept; about {_stack(graph, context)} bytes of stack are used.
 */
#ifndef {prefix}_H
#define {prefix}_H

#include <limits.h>
#include <stdint.h>
#include <string.h>

#if INT_MAX < 2147483647
#error "{prefix}.h needs an int of 32 bits"
#endif

#define {prefix}_GRAPH "{graph.digest()}" /* SHA-256 of graph.json */
#define {prefix}_INPUTS {first.size}
#define {prefix}_OUTPUTS {last.size}
#define {prefix}_INPUT_FRAC {_macro(first.type.frac)}
#define {prefix}_OUTPUT_FRAC {_macro(last.type.frac)}
#define {prefix}_INPUT_LOW {_macro(first.type.low)}
#define {prefix}_INPUT_HIGH {_macro(first.type.high)}

typedef {kind["input"]} {prefix}_input_t;
typedef {kind["output"]} {prefix}_output_t;
"""


def _macro(value: int) -> str:
    """A constant that any expression may hold."""
    return f"({literal(value)})" if value < 0 else literal(value)


def _places(graph: Graph, prefix: str) -> dict[str, str]:
    """The array of each node's values: ``x``, ``y``, or one of its own; a reshaped one is that of its source."""
    owner: dict[str, str] = {}
    for node in graph:
        owner[node.name] = owner[node.sources[0]] if node.op is Op.RESHAPE else node.name
    last = owner[graph.output.name]
    names = layer_names(graph, "w" if prefix[:1] == "v" else "v")  # no array hides the function that fills it
    named = {graph.input.name: "x"} | ({last: "y"} if last != graph.input.name else {})
    return {name: named.get(own, names[own]) for name, own in owner.items()}


def _run(graph: Graph, context: Context) -> str:
    places = _places(graph, context.prefix)
    lines, arrays = list[str](), list[str]()
    for node in graph.nodes[1:]:
        if node.op is Op.RESHAPE:
            continue
        if places[node.name] != "y":
            arrays.append(f"    {context.types[node.name]} {places[node.name]}[{node.size}];\n")
        arguments = ", ".join(places[name] for name in (*node.sources, node.name))
        lines.append(f"    {context.names[node.name]}({arguments});\n")
    if places[graph.output.name] == "x":
        lines.append(f"    memcpy(y, x, {graph.output.size} * sizeof *y);\n")
    heading = f"static inline void {context.prefix}_run"
    arguments = f"(const {context.prefix}_input_t *x, {context.prefix}_output_t *y)"
    return f"{heading}{arguments}\n{{\n{''.join(arrays)}{''.join(lines)}}}\n"


def _stack(graph: Graph, context: Context) -> int:
    """Bytes of all values between input and output, and of the widest sums."""
    between = [node for node in graph.nodes[1:-1] if node.op is not Op.RESHAPE]
    return sum(node.size * _bytes(node, context) for node in between) + max(8 * node.dims[-1] for node in graph)


def _bytes(node: Node, context: Context) -> int:
    return int(np.dtype(context.types[node.name].removesuffix("_t")).itemsize)
