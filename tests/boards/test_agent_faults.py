"""The agent under random frames and hosts that go away: it ends, frees the board, and changes nothing else."""

from __future__ import annotations

import io
import random
import signal
import struct
import subprocess

import pytest
from agent_bundles import Session, command, made
from agent_standin import StandinFabric

from boards.agent.server import Server
from boards.agent.store import Store
from boards.agent.wire import receive, send


def fuzzed(rng, subject):
    """One frame: valid, of wrong values, damaged, cut off or plain noise."""
    operations = ["hello", "put_bundle", "load", "run", "measure_latency", "measure_power", "reset", "x", None, 5]
    values = [
        subject.digest,
        "../x",
        "/etc/passwd",
        "0" * 64,
        0,
        -1,
        1,
        2.5,
        1e308,
        None,
        True,
        [],
        {},
        "\0",
        "x" * 5000,
    ]
    header = {"op": rng.choice(operations)}
    for key in rng.sample(["sha256", "repeats", "seconds", "path", "address"], rng.randrange(3)):
        header[key] = rng.choice(values)
    if header.get("seconds") in (1, 2.5) or header.get("repeats") in (1, 2.5):
        header["seconds"] = 0.0  # no test waits for a power measurement
    data = rng.choice([b"", subject.content, subject.words(2).tobytes(), rng.randbytes(rng.randrange(200))])
    stream = io.BytesIO()
    send(stream, header, data)
    content = bytearray(stream.getvalue())
    fate = rng.randrange(6)
    if fate == 0:
        for _ in range(rng.randrange(1, 6)):
            content[rng.randrange(min(len(content), 200))] = rng.randrange(256)
    elif fate == 1:
        del content[rng.randrange(len(content)) :]
    elif fate == 2:
        content = bytearray(rng.randbytes(rng.randrange(100)))
    elif fate == 3:
        content[4:16] = struct.pack("<IQ", rng.getrandbits(rng.randrange(33)), rng.getrandbits(rng.randrange(65)))
    return bytes(content)


def framed(operation, data=b""):
    stream = io.BytesIO()
    send(stream, {"op": operation, "sha256": made().digest}, data)
    return stream.getvalue()


def every_answer(stream):
    return [frame[0] for frame in iter(lambda: receive(stream), None)]


def fuzz(folder, count, seed):
    """Sessions of a few random frames each, until ``count`` were sent; of ``folder`` only the agent's own changes."""
    rng, subject, sent = random.Random(seed), made(), 0
    witness = folder / "witness"
    witness.write_text("here before")
    while sent < count:
        frames = [fuzzed(rng, subject) for _ in range(rng.randrange(1, 5))]
        sent += len(frames)
        if rng.random() < 0.3:  # with something to work on
            frames[:0] = [framed("put_bundle", subject.content), framed("load")]
        answers = io.BytesIO()
        code = Server(Store(folder / "agent"), StandinFabric()).serve(io.BytesIO(b"".join(frames)), answers)
        answers.seek(0)
        said = every_answer(answers)
        assert code in (0, 1)
        assert len(said) <= len(frames) + 1
        assert not [answer for answer in said if answer.get("kind") == "internal"], said
    assert witness.read_text() == "here before"
    assert {path.name for path in folder.iterdir()} == {"witness", "agent"}
    assert not list((folder / "agent").glob(".new*"))
    session = Session(folder / "agent")
    session.loaded(subject)
    session.good("run", subject.words(3).tobytes())
    session.server.close()


def test_random_frames(tmp_path):
    fuzz(tmp_path, 300, 1)


@pytest.mark.slow
def test_many_random_frames(tmp_path):
    fuzz(tmp_path, 10_000, 2)


def test_random_frames_to_a_process(tmp_path):
    """The program ends by itself, with an exit code of its own, whatever it is fed."""
    rng = random.Random(3)
    for _ in range(4):
        content = b"".join(fuzzed(rng, made()) for _ in range(5))
        done = subprocess.run(command(tmp_path / "agent"), input=content, capture_output=True, timeout=60, check=False)
        assert done.returncode in (0, 1)
        assert done.stderr == b""


def test_a_host_that_goes_away_at_any_byte(tmp_path):
    """Requests cut at every place: the agent ends, frees the hardware and lets go of the board."""
    subject = made()
    stream = io.BytesIO()
    marks = [0]
    for header, data in (
        ({"op": "hello"}, b""),
        ({"op": "put_bundle", "sha256": subject.digest}, subject.content),
        ({"op": "load", "sha256": subject.digest}, b""),
        ({"op": "run"}, subject.words(2).tobytes()),
        ({"op": "reset"}, b""),
    ):
        send(stream, header, data)
        marks.append(stream.tell())
    content = stream.getvalue()
    places = sorted({mark + shift for mark in marks for shift in (0, 1, 10, 17, 40)} & set(range(len(content) + 1)))
    for place in places:
        fabric = StandinFabric()
        code = Server(Store(tmp_path / "agent"), fabric).serve(io.BytesIO(content[:place]), io.BytesIO())
        assert code == (0 if place in marks else 1), place
        assert fabric.log[-1] == "close"
        held = Store(tmp_path / "agent")
        held.lease()
        held.close()


class Deaf(io.BytesIO):
    """A host that is gone when an answer comes."""

    def write(self, data):
        raise BrokenPipeError


def test_a_host_that_does_not_wait_for_the_answer(tmp_path):
    requests = io.BytesIO()
    send(requests, {"op": "hello"})
    fabric = StandinFabric()
    requests.seek(0)
    assert Server(Store(tmp_path / "agent"), fabric).serve(requests, Deaf()) == 1
    assert fabric.log == ["close"]
    assert Server(Store(tmp_path / "agent"), fabric).serve(io.BytesIO(b"garbage, no frame"), Deaf()) == 1


def test_a_signal_frees_the_board(tmp_path):
    """What ssh sends when its connection ends."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        child = subprocess.Popen(command(tmp_path / "agent"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        send(child.stdin, {"op": "put_bundle", "sha256": made().digest}, made().content)
        assert receive(child.stdout)[0] == {"ok": True}
        child.send_signal(number)
        assert child.wait(20) == 128 + number
        child.stdin.close()
        child.stdout.close()
        held = Store(tmp_path / "agent")
        held.lease()
        held.close()
