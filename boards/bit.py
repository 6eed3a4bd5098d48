"""A .bit without a bitstream: the header that pynq reads, then words that only say what it stands for."""

from __future__ import annotations

import struct

_SYNC = bytes.fromhex("0ff00ff00ff00ff000")


def placeholder(design: str, part: str, content: bytes) -> bytes:
    """The file; ``content`` stands where the bitstream would, in whole words. Date and time are always the same."""
    padded = content + b"\0" * (-len(content) % 4)
    header = struct.pack(">H", len(_SYNC)) + _SYNC + struct.pack(">H", 1)
    fields = {"a": f"{design};UserID=0XFFFFFFFF;Version=none", "b": part, "c": "1980/01/01", "d": "00:00:00"}
    for key, text in fields.items():
        header += key.encode() + struct.pack(">H", len(text) + 1) + text.encode() + b"\0"
    return header + b"e" + struct.pack(">I", len(padded)) + padded
