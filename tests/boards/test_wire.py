"""Frames: what was sent arrives, and anything else ends in an error before it takes memory or time."""

from __future__ import annotations

import io
import random
import re
import struct

import pytest

from boards.agent.wire import MOST_DATA, MOST_HEADER, WireError, receive, send


def sent(header, data=b""):
    stream = io.BytesIO()
    send(stream, header, data)
    return stream.getvalue()


class Dribble:
    """Gives one byte at a time, as a pipe may."""

    def __init__(self, content):
        self.content = io.BytesIO(content)

    def read(self, size):
        return self.content.read(min(size, 1))


def test_what_was_sent_arrives_in_order_and_the_end_is_seen():
    frames = [({"op": "run", "n": 3}, b"\0\xff" * 500), ({}, b""), ({"text": "ä\0"}, b"x")]
    content = b"".join(sent(*frame) for frame in frames)
    for stream in (io.BytesIO(content), Dribble(content)):
        assert [receive(stream) for _ in frames] == frames
        assert receive(stream) is None


def test_every_truncation_is_noticed():
    content = sent({"op": "hello"}, b"abc")
    for length in range(1, len(content)):
        with pytest.raises(WireError, match=r"^the stream ended within a frame"):
            receive(io.BytesIO(content[:length]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"SSH-2.0-OpenSSH_8.9p1", "this is no frame: it begins with b'SSH-2.0-OpenSSH_', not with b'CDA1'"),
        (struct.pack("<4sIQ", b"CDA1", MOST_HEADER + 1, 0), "a frame of 65537 + 0 bytes exceeds 65536 + 67108864"),
        (struct.pack("<4sIQ", b"CDA1", 2, 1 << 60), "a frame of 2 + 1152921504606846976 bytes exceeds"),
        (struct.pack("<4sIQ", b"CDA1", 2, 0) + b"[]", "the header of a frame is list, not an object"),
        (struct.pack("<4sIQ", b"CDA1", 2, 0) + b"{]", "the header of a frame is not JSON: "),
        (struct.pack("<4sIQ", b"CDA1", 2, 0) + b"\xff\xfe", "the header of a frame is not JSON: "),
        (struct.pack("<4sIQ", b"CDA1", 60000, 0) + b"[" * 60000, "the header of a frame is not JSON: "),
        (struct.pack("<4sIQ", b"CDA1", 60000, 0) + b"1" * 60000, "the header of a frame is not JSON: "),
    ],
)
def test_what_is_no_frame(content, message):
    with pytest.raises(WireError, match=f"^{re.escape(message)}"):
        receive(io.BytesIO(content))


def test_a_promise_of_much_takes_no_memory():
    """Only what arrives is kept, asked for in pieces."""
    asked = []

    class Empty(io.BytesIO):
        def read(self, size=-1):
            asked.append(size)
            return super().read(size)

    with pytest.raises(WireError, match="ended within a frame"):
        receive(Empty(struct.pack("<4sIQ", b"CDA1", 2, MOST_DATA) + b"{}abc"))
    assert max(asked) <= 1 << 20


def test_too_much_is_not_sent():
    stream = io.BytesIO()
    with pytest.raises(
        WireError, match=r"^a frame of 12 \+ 67108865 bytes is too large: at most 65536 \+ 67108864 are"
    ):
        send(stream, {"op": 1234}, bytes(MOST_DATA + 1))
    with pytest.raises(WireError, match="is too large"):
        send(stream, {"op": "x" * MOST_HEADER})
    assert stream.getvalue() == b""


def test_values_that_are_not_json_are_not_sent():
    with pytest.raises(ValueError, match="Out of range float"):
        send(io.BytesIO(), {"seconds": float("nan")})


def test_random_bytes_never_do_more_than_fail():
    rng = random.Random(11)
    good = sent({"op": "hello", "sha256": "0" * 64}, b"data")
    for _ in range(2000):
        content = bytearray(good)
        for _ in range(rng.randrange(1, 5)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            header, _ = receive(io.BytesIO(bytes(content[: rng.randrange(1, len(content) + 1)])))
        except WireError:
            continue
        assert isinstance(header, dict)
