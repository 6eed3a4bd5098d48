"""What a bundle's manifest says to a board: nothing in it is trusted, and no name in it becomes a path."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .archive import ArchiveError, read_archive, sha256
from .errors import AgentError

SEGMENT = 0x1_0000
_FABRIC = ((0x4000_0000, 0x8000_0000), (0xA000_0000, 0xB000_0000))
"""Where the processors of Zynq-7000 (GP0) and UltraScale+ (HPM0) see the fabric, and nothing else."""
_NEEDED = (
    "control", "status", "errors", "bursts", "cycles_low", "cycles_high", "latency_last", "latency_min",
    "latency_max", "interval", "frames_in", "frames_out", "stalls",
)  # fmt: skip
_CONSTANT = (
    "magic",
    "build_id_0",
    "build_id_1",
    "build_id_2",
    "build_id_3",
    "word_bits",
    "input_words",
    "output_words",
)


@dataclass(frozen=True)
class Contents:
    """A bundle whose sums are right. ``files`` by member name; ``offsets`` and ``constants`` of registers by name."""

    digest: str
    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]
    offsets: Mapping[str, int]
    constants: Mapping[str, int]

    @property
    def bit(self) -> bytes:
        """The bitstream."""
        return self.files[self.manifest["stem"] + ".bit"]

    @property
    def hwh(self) -> bytes:
        """What pynq reads beside it."""
        return self.files[self.manifest["stem"] + ".hwh"]


def unpack(content: bytes) -> Contents:
    """The bundle in these bytes; AgentError of kind ``bundle`` where anything in it is not as it must be."""
    try:
        manifest, members = read_archive(content)
        _values(manifest, members)
        registers = manifest["registers"]
        offsets = {name: _whole(registers[name]["offset"], 0, SEGMENT - 4) for name in (*_NEEDED, *_CONSTANT)}
        constants = {name: _whole(r["value"], 0, 0xFFFF_FFFF) for name, r in registers.items() if "value" in r}
        offsets |= {name: _whole(registers[name]["offset"], 0, SEGMENT - 4) for name in constants}
        _need(all(offset % 4 == 0 for offset in offsets.values()), "registers at odd addresses")
        _need(constants["word_bits"] in (32, 64), f"words of {constants['word_bits']} bits")
        _need(all(1 <= constants[f"{way}_words"] <= 1 << 20 for way in ("input", "output")), "frames of no words")
    except ArchiveError as error:
        raise AgentError("bundle", f"the bundle {error}; build it again") from None
    except ValueError as error:
        raise AgentError("bundle", f"the bundle is damaged: {error}; build it again") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise AgentError("bundle", f"the bundle's manifest is not of this version: {error!r}; build it again") from None
    return Contents(sha256(content), manifest, members, offsets, constants)


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _whole(value: Any, low: int, high: int) -> int:
    _need(type(value) is int and low <= value <= high, f"{value!r} is not between {low} and {high}")
    number: int = value
    return number


def _values(manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> None:
    stem, build_id, clock = manifest["stem"], manifest["build_id"], manifest["clock_mhz"]
    _need(re.fullmatch(r"cdg_[0-9a-f]{16}", stem) is not None, f"stem {stem!r}")
    _need({f"{stem}.bit", f"{stem}.hwh"} <= set(members), f"no bitstream and hwh of stem {stem}")
    _need(re.fullmatch(r"[0-9a-f]{32}", build_id) is not None, f"build id {build_id!r}")
    registers = manifest["registers"]
    said = "".join(f"{registers[f'build_id_{index}']['value']:08x}" for index in range(4))
    _need(said == build_id, f"build id {build_id} is {said} among the registers")
    _need(type(clock) in (int, float) and math.isfinite(clock) and 0.1 <= clock < 2000, f"clock of {clock!r} MHz")
    _need(type(manifest["board"]) is str, f"board {manifest['board']!r}")
    only = manifest["simulation_only"]
    _need(type(only) is bool, f"simulation_only {only!r}")
    for key in ("latency_cycles", "interval_cycles"):
        _whole(manifest[key], 1, 1 << 28)
    for name in ("dma", "accelerator"):
        place = manifest["addresses"][name]
        inside = type(place) is int and any(low <= place <= high - SEGMENT for low, high in _FABRIC)
        _need(inside and place % SEGMENT == 0, f"{name} at {place!r}, which is not in the fabric")
