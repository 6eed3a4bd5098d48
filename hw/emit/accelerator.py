"""The network as an AXI IP: AXI4-Stream in and out, AXI4-Lite registers, one clock.

``cdg_accelerator`` (SystemVerilog, any vendor) holds the network of a :class:`hw.design.Design`; around it stands
``cdg_accelerator_ip``, a Verilog wrapper that a Vivado block design takes as a module reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codesign.errors import InputError, ModelError
from hw.design import Design, library
from hw.emit.accelerator_top import emit_accelerator_top
from hw.emit.registers import CONTROLS, COUNTERS, Register, constants
from hw.emit.wrapper import emit_wrapper
from hw.graph import Graph
from hw.host_format import Elements, HostFormat

TOP = "cdg_accelerator"
WRAPPER = "cdg_accelerator_ip"
_MODULES = {"cdg_axi_lite", "cdg_counters", "cdg_fifo", "cdg_frame_in", "cdg_frame_out", "cdg_skid"}


@dataclass(frozen=True)
class Accelerator:
    """RTL as {file name: text} with what a host has to know of it.

    ``latency_cycles``: from the cycle that takes a frame's first input word to the one that takes its last output
    word, where neither side waits; ``interval_cycles``: between frames when they follow each other without gaps.
    """

    files: Mapping[str, str]
    top: str
    wrapper: str
    build_id: str
    format: HostFormat
    latency_cycles: int
    interval_cycles: int
    registers: tuple[Register, ...]

    def register_map(self) -> dict[str, dict[str, Any]]:
        """Registers by name, plain JSON values."""
        return {register.name: register.to_json() for register in self.registers}


def accelerator(design: Design, graph: Graph, build_id: str) -> Accelerator:
    """The AXI IP around ``design``, which was made of ``graph``.

    ``build_id``: at least 32 hexadecimal digits; the first 32 identify the build in hardware. Raises InputError where
    it has fewer, ModelError where an element needs more than 32 bits.
    """
    if not re.fullmatch(r"[0-9a-f]{32,}", build_id):
        raise InputError(f"build id {build_id!r} does not begin with 32 hexadecimal digits; give a SHA-256 digest")
    if design.input_beats * design.output_beats > 1:
        raise ModelError("the accelerator is built around networks of vectors only, not of images: use the bare RTL")
    build_id = build_id[:32]
    layout = host_format(design, graph)
    registers = (*constants(build_id, _shapes(layout)), *CONTROLS, *COUNTERS)
    top = emit_accelerator_top(TOP, design, layout, registers, build_id)
    files = {**design.files, **library(_MODULES), f"{TOP}.sv": top, f"{WRAPPER}.v": emit_wrapper(WRAPPER, TOP, layout)}
    return Accelerator(
        files=dict(sorted(files.items())),
        top=TOP,
        wrapper=WRAPPER,
        build_id=build_id,
        format=layout,
        latency_cycles=layout.input_words + design.latency_cycles + layout.output_words,
        interval_cycles=max(layout.input_words, design.interval_cycles, layout.output_words),
        registers=registers,
    )


def host_format(design: Design, graph: Graph) -> HostFormat:
    """Frames in words of 32 bits, or of 64 where 32-bit words would take more cycles than the network's interval."""
    for kind, bits in (("inputs", design.input_bits), ("outputs", design.output_bits)):
        if bits > 32:
            raise ModelError(f"{kind} of {bits} bits do not fit the accelerator's frames; at most 32 bits can")
    element = next(bits for bits in (8, 16, 32) if bits >= design.output_bits)
    inputs = Elements(design.inputs, design.input_bits, design.input_signed, graph.input.type.frac)
    outputs = Elements(design.outputs, element, design.output_signed, graph.output.type.frac)
    narrow = HostFormat(32, inputs, outputs)
    held_up = max(narrow.input_words, narrow.output_words) > design.interval_cycles
    return HostFormat(64, inputs, outputs) if held_up else narrow


def _shapes(layout: HostFormat) -> dict[str, tuple[int, str]]:
    return {
        "inputs": (layout.input.size, "elements of an input frame"),
        "input_bits": (layout.input.bits, "bits of an input element"),
        "input_signed": (int(layout.input.signed), "1: two's complement"),
        "outputs": (layout.output.size, "elements of an output frame"),
        "output_bits": (layout.output.bits, "bits of an output element as it is sent"),
        "output_signed": (int(layout.output.signed), "1: two's complement"),
        "word_bits": (layout.word_bits, "bits of a stream word"),
        "input_words": (layout.input_words, "words of an input frame"),
        "output_words": (layout.output_words, "words of an output frame"),
    }
