"""Frames between host and agent: a prefix with two lengths, a JSON object, and bytes.

Both lengths are limited before anything is read, and memory is taken only for what has arrived. A stream that is not of
such frames cannot be found back into, so every error here ends the connection.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, Protocol

PROTOCOL = 1
MOST_HEADER = 64 << 10
MOST_DATA = 64 << 20
_MAGIC = b"CDA1"
_PREFIX = struct.Struct("<4sIQ")
_PIECE = 1 << 20


class WireError(Exception):
    """The other side sent something else, or less, than a frame."""


class Reader(Protocol):
    """Where frames come from: ``read`` gives at most so many bytes, none only at the end."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""


class Writer(Protocol):
    """Where frames go."""

    def write(self, data: bytes, /) -> Any:
        """Take all of ``data``."""

    def flush(self) -> Any:
        """Send what was taken."""


def send(stream: Writer, header: Mapping[str, Any], data: bytes = b"") -> None:
    """Write one frame. WireError where it exceeds the limits, which the other side would refuse."""
    text = json.dumps(header, allow_nan=False).encode()
    if len(text) > MOST_HEADER or len(data) > MOST_DATA:
        raise WireError(
            f"a frame of {len(text)} + {len(data)} bytes is too large: at most {MOST_HEADER} + {MOST_DATA} are sent"
        )
    stream.write(_PREFIX.pack(_MAGIC, len(text), len(data)) + text)
    stream.write(data)
    stream.flush()


def receive(stream: Reader) -> tuple[dict[str, Any], bytes] | None:
    """The next frame as header and data; None where the stream ends between frames. WireError otherwise."""
    prefix = _exactly(stream, _PREFIX.size)
    if not prefix:
        return None
    if len(prefix) < _PREFIX.size:
        raise WireError(f"the stream ended within a frame: {prefix!r}")
    magic, header_size, data_size = _PREFIX.unpack(prefix)
    if magic != _MAGIC:
        raise WireError(f"this is no frame: it begins with {prefix!r}, not with {_MAGIC!r}")
    if header_size > MOST_HEADER or data_size > MOST_DATA:
        raise WireError(f"a frame of {header_size} + {data_size} bytes exceeds {MOST_HEADER} + {MOST_DATA}")
    text, data = _exactly(stream, header_size), b""
    if len(text) == header_size:
        data = _exactly(stream, data_size)
    if len(text) < header_size or len(data) < data_size:
        raise WireError(f"the stream ended within a frame of {header_size} + {data_size} bytes")
    return _header(text), data


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the header of a frame is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise WireError(f"the header of a frame is {type(header).__name__}, not an object")
    return header


def _exactly(stream: Reader, size: int) -> bytes:
    """``size`` bytes, or fewer where the stream ends."""
    found = bytearray()
    while len(found) < size:
        piece = stream.read(min(size - len(found), _PIECE))
        if not piece:
            break
        found += piece
    return bytes(found)
