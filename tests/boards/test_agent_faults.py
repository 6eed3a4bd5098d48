"""The agent under random frames and hosts that go away: it ends, frees the board, and changes nothing else."""

from __future__ import annotations

import io
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agent_bundles import Session, command, made
from agent_standin import StandinFabric

from boards.agent.server import Server
from boards.agent.store import Store
from boards.agent.wire import MOST_DATA, MOST_HEADER, receive, send

OPERATIONS = ("hello", "put_bundle", "load", "run", "measure_latency", "measure_power", "reset")
CHANGES = {
    "os.chmod",
    "os.chown",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
}
BEYOND = {"os.exec", "os.fork", "os.system", "socket.connect", "subprocess.Popen"}
_watched: list[list[str]] = []


def watch(event, arguments):
    """What Python reports of itself: a change anywhere but in the agent's folder, and whatever leaves the process."""
    if not _watched:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        _watched[-1].append(os.fsdecode(path))
    elif event in CHANGES:
        _watched[-1].extend(os.fsdecode(path) for path in arguments if isinstance(path, str | bytes | os.PathLike))
    elif event in BEYOND:
        _watched[-1].append(f"{event} {arguments!r:.200}")


sys.addaudithook(watch)


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
    """Sessions of a few random frames each, until ``count`` were sent; only the agent's folder is ever written to."""
    rng, subject, sent, touched = random.Random(seed), made(), 0, []
    _watched.append(touched)
    try:
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
    finally:
        _watched.pop()
    assert touched, "the hook sees what is written"
    assert not [path for path in touched if not Path(path).is_relative_to(folder / "agent")]
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


def request(operation, subject):
    """A valid request, of which the data go into another bundle than the one that is loaded."""
    arguments = {"put_bundle": {"sha256": subject.digest}, "load": {"sha256": subject.digest}}
    arguments |= {"measure_latency": {"repeats": 1}, "measure_power": {"seconds": 0.01}}
    data = {"put_bundle": subject.content}
    data |= dict.fromkeys(("run", "measure_latency", "measure_power"), subject.words(2).tobytes())
    stream = io.BytesIO()
    send(stream, {"op": operation, **arguments.get(operation, {})}, data.get(operation, b""))
    return stream.getvalue(), len(data.get(operation, b""))


PLACES = {
    "before it": lambda whole, data: 0,
    "in the mark": lambda whole, data: 2,
    "before the lengths": lambda whole, data: 4,
    "in the lengths": lambda whole, data: 11,
    "before the header": lambda whole, data: 16,
    "in the header": lambda whole, data: (16 + whole - data) // 2,
    "before the data": lambda whole, data: whole - data,
    "in the data": lambda whole, data: whole - data // 2,
    "before the last byte": lambda whole, data: whole - 1,
    "before the answer": lambda whole, data: whole,
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("place", PLACES)
def test_a_host_that_goes_away_in_every_operation(tmp_path, operation, place):
    """At every kind of byte: the agent ends, frees the hardware, lets go of the board, and keeps nothing half."""
    loaded, other = made(1), made(2)
    frame, data = request(operation, other)
    session = Session(tmp_path / "agent")
    session.loaded(loaded)
    if operation == "load":
        session.good("put_bundle", other.content, sha256=other.digest)
    before = {path.name for path in (tmp_path / "agent").iterdir()}
    cut = PLACES[place](len(frame), data)
    code = session.server.serve(io.BytesIO(frame[:cut]), io.BytesIO())
    assert code == (0 if cut in (0, len(frame)) else 1)
    assert session.fabric.log[-1] == "close"
    after = {path.name for path in (tmp_path / "agent").iterdir()}
    if cut < len(frame):
        assert after == before
    held = Session(tmp_path / "agent")
    held.loaded(other)
    held.good("run", other.words(2).tobytes())
    held.server.close()


@pytest.mark.parametrize(
    ("header", "data"),
    [(MOST_HEADER + 1, 0), (2, MOST_DATA + 1), (0xFFFF_FFFF, (1 << 64) - 1)],
    ids=["header", "data", "both"],
)
def test_an_oversized_frame_is_refused_before_it_is_read(tmp_path, header, data):
    class Endless(io.RawIOBase):
        read_bytes = 0

        def read(self, size=-1):
            self.read_bytes += size
            return (struct.pack("<4sIQ", b"CDA1", header, data) if self.read_bytes == size else b"{}").ljust(size)[
                :size
            ]

    requests, answers = Endless(), io.BytesIO()
    assert Server(Store(tmp_path / "agent"), StandinFabric()).serve(requests, answers) == 1
    answers.seek(0)
    assert f"a frame of {header} + {data} bytes exceeds" in receive(answers)[0]["message"]
    assert requests.read_bytes == 16


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


@pytest.mark.parametrize(("operation", "write"), [("put_bundle", 1), ("load", 1), ("load", 2)])
def test_an_agent_killed_while_it_writes(tmp_path, operation, write):
    """By SIGKILL, with half a file on the disk: nothing of it counts, the board is free, the next agent cleans up."""
    subject, agent = made(), tmp_path / "agent"
    if operation == "load":
        session = Session(agent)
        session.good("put_bundle", subject.content, sha256=subject.digest)
        session.server.close()
    frame, _ = request(operation, subject)
    done = subprocess.run(
        command(agent, f"killed in write {write}"), input=frame, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert list(agent.glob(".new*")), "half a file is there"
    session = Session(agent)
    assert session.good("hello")[0]["bundles"] == ([subject.digest] if operation == "load" else [])
    session.loaded(subject)
    session.good("run", subject.words(2).tobytes())
    session.server.close()
    assert not list(agent.glob(".new*"))
    assert len(list(agent.glob("cdg_*"))) == 2


def test_a_disk_that_fills_up_while_loading(tmp_path):
    """A real one: the file size that the process may write is limited."""
    subject, agent = made(), tmp_path / "agent"
    session = Session(agent)
    session.good("put_bundle", subject.content, sha256=subject.digest)
    session.server.close()
    limited = ["sh", "-c", 'ulimit -f 1; trap "" XFSZ; exec "$@"', "sh", *command(agent)]
    frame, _ = request("load", subject)
    done = subprocess.run(limited, input=frame, capture_output=True, timeout=60, check=False)
    answer, _ = receive(io.BytesIO(done.stdout))
    assert answer["kind"] == "storage"
    assert answer["message"].startswith("the board's disk refuses: File too large; ")
    assert not list(agent.glob(".new*"))
    assert not list(agent.glob("cdg_*.bit"))
    session = Session(agent)
    session.good("load", sha256=subject.digest)
    session.server.close()


def test_a_host_that_is_killed(tmp_path):
    """The agent sees its stdin end, whatever the host was about, and lets go of the board."""
    program = (
        "import sys, time; from agent_bundles import made, remote; from pathlib import Path\n"
        "board = remote(Path(sys.argv[1])); board.load(board.put_bundle(made().content)); print('loaded', flush=True)\n"
        "time.sleep(600)"
    )
    tests = Path(__file__).parent
    paths = os.pathsep.join(map(str, (tests.parents[1], tests, tests.parent)))
    host = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "agent")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with host:
        assert host.stdout.readline() == b"loaded\n"
        session = Session(tmp_path / "agent")
        assert session.refused("load", sha256=made().digest)[0] == "busy"
        host.kill()
    for _ in range(400):
        if session.ask("load", sha256=made().digest)[0]["ok"]:
            break
        time.sleep(0.05)
    session.good("run", made().words(2).tobytes())
    session.server.close()
