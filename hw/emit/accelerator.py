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
_MODULES = {"cdg_axi_lite", "cdg_counters", "cdg_fifo", "cdg_frame_out", "cdg_frame_words", "cdg_skid"}
_VECTOR_MODULES, _IMAGE_MODULES = {"cdg_frame_in"}, {"cdg_image_in", "cdg_frame_store", "cdg_split"}
_MOST_OUTPUT_BITS = 16_384
"""Of a frame of several beats, which is gathered in registers before it is sent."""


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
    if design.output_beats > 1 and design.outputs * design.output_bits > _MOST_OUTPUT_BITS:
        raise ModelError(
            f"the network gives {design.outputs * design.output_bits} bits a frame in {design.output_beats} beats; the "
            f"accelerator gathers at most {_MOST_OUTPUT_BITS}: use the bare RTL (--target rtl)"
        )
    build_id = build_id[:32]
    layout = host_format(design, graph)
    registers = (*constants(build_id, _shapes(layout)), *CONTROLS, *COUNTERS)
    top = emit_accelerator_top(TOP, design, layout, registers, build_id)
    modules = _MODULES | (_IMAGE_MODULES if design.input_beats > 1 else _VECTOR_MODULES)
    modules |= {"cdg_gather"} if design.output_beats > 1 else set()
    files = {**design.files, **library(modules), f"{TOP}.sv": top, f"{WRAPPER}.v": emit_wrapper(WRAPPER, TOP, layout)}
    return Accelerator(
        files=dict(sorted(files.items())),
        top=TOP,
        wrapper=WRAPPER,
        build_id=build_id,
        format=layout,
        latency_cycles=layout.input_words + _waiting(design, layout) + design.latency_cycles + layout.output_words,
        interval_cycles=max(layout.input_words, design.interval_cycles, layout.output_words),
        registers=registers,
    )


def host_format(design: Design, graph: Graph) -> HostFormat:
    """Frames in words of 32 bits, or of 64 where 32-bit words would take more cycles than the network's interval."""
    for kind, bits in (("inputs", design.input_bits), ("outputs", design.output_bits)):
        if bits > 32:
            raise ModelError(f"{kind} of {bits} bits do not fit the accelerator's frames; at most 32 bits can")
    element = next(bits for bits in (8, 16, 32) if bits >= design.output_bits)
    inputs = Elements(design.inputs, design.input_bits, design.input_signed, graph.input.type.frac, design.input_beats)
    outputs = Elements(design.outputs, element, design.output_signed, graph.output.type.frac)
    narrow = HostFormat(32, inputs, outputs)
    held_up = max(narrow.input_words, narrow.output_words) > design.interval_cycles
    return HostFormat(64, inputs, outputs) if held_up else narrow


def _waiting(design: Design, layout: HostFormat) -> int:
    """Cycles in the store of whole images, in taking words apart into pixels, and in gathering the output's beats."""
    stored = 2 + (layout.beats_per_word > 1) if design.input_beats > 1 else 0
    return stored + (design.output_beats > 1)


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
