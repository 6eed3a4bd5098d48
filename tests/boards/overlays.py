"""Overlays for tests: the real wrapper around a module without content."""

from __future__ import annotations

from boards.catalogue import load_board, load_target
from boards.vivado import Core, Overlay, overlay
from hw.emit.wrapper import emit_wrapper
from hw.host_format import Elements, HostFormat

WRAPPER = "cdg_accelerator_ip"


def core(word_bits: int = 64) -> Core:
    layout = HostFormat(word_bits, Elements(64, 4, False, 4), Elements(10, 8, True, 0))
    files = {
        "cdg_accelerator.sv": "module cdg_accelerator;\nendmodule\n",
        f"{WRAPPER}.v": emit_wrapper(WRAPPER, "cdg_accelerator", layout),
        "notes.txt": "no source\n",
    }
    return Core(files, WRAPPER, word_bits)


def for_board(board: str, word_bits: int = 64, clock_mhz: float = 100.0) -> tuple[Overlay, str]:
    """The overlay and its part."""
    part = load_target(board, None, clock_mhz).part.name
    ps = load_board(board).ps
    assert ps is not None
    return overlay(core(word_bits), part, ps, clock_mhz), part
