"""The accelerator's AXI4-Lite registers: one table, from which RTL, manifest and documentation are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MAGIC = int.from_bytes(b"CDG1", "little")
INTERFACE_VERSION = 1
ADDRESS_BITS = 8


@dataclass(frozen=True)
class Register:
    """One 32-bit register: byte ``offset``, ``access`` (ro, rw, wo, w1c), ``bits`` by name where it has fields.

    ``source`` is what the RTL answers with: a number that never changes, or the name of a signal.
    """

    name: str
    offset: int
    access: str
    meaning: str
    source: int | str
    bits: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What a host needs to know, plain JSON values."""
        values = asdict(self)
        constant = {"value": self.source} if isinstance(self.source, int) and self.access == "ro" else {}
        return {**{key: values[key] for key in ("offset", "access", "meaning", "bits")}, **constant}


def constants(build_id: str, shapes: Mapping[str, tuple[int, str]]) -> list[Register]:
    """Registers from 0x00 that never change: identity, then ``shapes`` as {name: (value, meaning)}."""
    values: dict[str, tuple[int, str]] = {
        "magic": (MAGIC, "the bytes CDG1"),
        "interface_version": (INTERFACE_VERSION, "version of this register map and of the frame rules"),
    }
    for index in range(4):
        digits = slice(8 * index, 8 * index + 8)
        meaning = f"hexadecimal digits {digits.start} to {digits.stop - 1} of the build id"
        values[f"build_id_{index}"] = (int(build_id[digits], 16), meaning)
    values |= shapes
    return [
        Register(name, 4 * index, "ro", meaning, value) for index, (name, (value, meaning)) in enumerate(values.items())
    ]


CONTROLS = (
    Register(
        "control",
        0x40,
        "wo",
        "write 1 to act; bits may be combined; reads 0. soft_reset: drops every frame inside and clears counters, "
        "errors and bursts while both streams go on: the rest of a packet partly received is dropped, an "
        "output frame already offered is sent to its end. stream_reset: the same, and both streams begin anew, for "
        "use after whoever drives them was reset. snapshot: copies all counters, in one cycle, to where they are "
        "read",
        0,
        {"soft_reset": 0, "stream_reset": 1, "snapshot": 2},
    ),
    Register(
        "status",
        0x44,
        "ro",
        "receiving: a packet is partly received. busy: frames are inside. stale: a frame from before the last soft "
        "reset is still being sent",
        "{29'b0, stale, busy, receiving}",
        {"receiving": 0, "busy": 1, "stale": 2},
    ),
    Register(
        "errors",
        0x48,
        "w1c",
        "write 1 to clear. short_frame: TLAST came before a frame was whole; it was dropped. long_frame: TLAST was "
        "missing at the end of a frame, without bursts; that frame and the rest up to TLAST were dropped. "
        "overflow: more frames were inside than can be, or one left that never came: the circuit is faulty "
        "(timing, bitstream) and results are not to be trusted",
        "{29'b0, errors}",
        {"short_frame": 0, "long_frame": 1, "overflow": 2},
    ),
    Register(
        "bursts",
        0x4C,
        "rw",
        "0 after any reset: a packet, up to TLAST, is one frame. 1: it is any number of whole frames, and the "
        "output has TLAST only on the frame that ended its packet; after an error in such a packet reset before "
        "going on. Write it between packets",
        "{31'b0, bursts_q}",
    ),
)
"""From 0x40: what is written to, and the state."""

_COUNTERS = {
    "cycles_low": ("cycles[31:0]", "clock cycles since reset, low half; a soft reset leaves it running"),
    "cycles_high": ("cycles[63:32]", "high half"),
    "latency_last": (
        "latency_last",
        "cycles from the one that took a frame's first input word to the one that "
        "took its last output word, of the latest frame",
    ),
    "latency_min": ("latency_min", "smallest since reset; 0xffffffff before the first frame"),
    "latency_max": ("latency_max", "largest since reset"),
    "interval": ("interval", "cycles between the last output words of the latest two frames; 0 before two"),
    "frames_in": ("frames_in", "whole frames received; stays at 0xffffffff"),
    "frames_out": ("frames_out", "frames sent; stays at 0xffffffff"),
    "stalls": ("stalls", "cycles in which an output word waited for the receiver; stays at 0xffffffff"),
}

COUNTERS = tuple(
    Register(name, 0x80 + 4 * index, "ro", meaning, signal)
    for index, (name, (signal, meaning)) in enumerate(_COUNTERS.items())
)
"""From 0x80: counters, as of the last snapshot."""
