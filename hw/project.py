"""Project: a design as files for other tools: sources, golden vectors, and words on how to use them."""

from __future__ import annotations

import json

from codesign.counting import number_of
from hw.design import Design
from hw.graph import Graph, Ints
from hw.measure.verilator import pack

GOLDEN_VECTORS = 256


def project(name: str, design: Design, graph: Graph, x: Ints) -> dict[str, str]:
    """Files by path: ``rtl/*.sv``, ``files.f``, ``graph.json``, ``golden/*.hex`` (from ``x``), ``README.md``."""
    vectors = x[:GOLDEN_VECTORS]
    return {
        **{f"rtl/{file}": text for file, text in design.files.items()},
        "files.f": "".join(f"rtl/{file}\n" for file in design.files if file.endswith((".sv", ".v"))),
        "graph.json": json.dumps(graph.to_json()) + "\n",
        "golden/inputs.hex": _hex(vectors, design.input_beats, design.input_bits),
        "golden/outputs.hex": _hex(graph.run(vectors), design.output_beats, design.output_bits),
        "README.md": _readme(name, design, graph, len(vectors)),
    }


def _hex(vectors: Ints, beats: int, bits: int) -> str:
    """One beat a line, as $readmemh reads it: element 0 in the lowest bits."""
    values = vectors.reshape(len(vectors) * beats, -1)
    digits = -(-values.shape[1] * bits // 4)
    rows = pack(values, bits)
    numbers = (int.from_bytes(row.tobytes(), "little") for row in rows)
    return "".join(f"{number:0{digits}x}\n" for number in numbers)


def _readme(name: str, design: Design, graph: Graph, vectors: int) -> str:
    source = graph.input.type
    inputs, outputs = design.inputs // design.input_beats, design.outputs // design.output_beats
    layers = "".join(
        f"| {layer.name} | {layer.mode} | {layer.latency_cycles} | {layer.interval_cycles} |\n"
        for layer in design.layers
    )
    return f"""# {name}

Top module `{design.top}`; sources in the order of `files.f` (SystemVerilog, one module per file).

| port | bits | meaning |
| --- | --- | --- |
| `clk`, `rst_n` | 1 | clock; synchronous reset, active low |
| `s_axis_tvalid`, `s_axis_tready` | 1 | input handshake |
| `s_axis_tdata` | {inputs * design.input_bits} | {_of(inputs, design.input_beats)} inputs of \
{_type(design.input_bits, source.signed)}, the first in the lowest bits; a value is the integer / 2^{source.frac} |
| `m_axis_tvalid`, `m_axis_tready` | 1 | output handshake |
| `m_axis_tdata` | {outputs * design.output_bits} | {_given(design, graph)} |

Latency {number_of(design.latency_cycles, "cycle")}, initiation interval {number_of(design.interval_cycles, "cycle")}.

| layer | mode | latency, cycles | interval, cycles |
| --- | --- | --- | --- |
{layers}
`golden/inputs.hex` and `golden/outputs.hex` hold {vectors} vectors for `$readmemh`, a beat a line: what `graph.json`,
the integer network that is the reference of all levels, computes.

The modules made of your network (`{design.top}`, `cdg_layer_*`) are yours. The library modules beside them come with
codesign, under the Apache-2.0 licence.
"""


def _given(design: Design, graph: Graph) -> str:
    kind = _type(design.output_bits, design.output_signed)
    if graph.gives_class:
        count = graph.logits().output.size
        return f"which of the {count} outputs is the largest, of equal ones the first: 0 to {count - 1}, {kind}"
    each = _of(design.outputs // design.output_beats, design.output_beats)
    return f"{each} outputs of {kind}; a value is the integer / 2^{graph.output.type.frac}"


def _of(elements: int, beats: int) -> str:
    """The elements of a beat; of images a pixel, row by row."""
    return f"{elements}" if beats == 1 else f"one of {beats} pixels of a frame, row by row: {elements}"


def _type(bits: int, signed: bool) -> str:
    return f"{number_of(bits, 'bit')}, {'signed' if signed else 'unsigned'}"
