"""The host's side: a real agent process on the stand-in, and every way in which the other side may fail."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from agent_bundles import command, made, remote

from boards import remote as remote_module
from boards.remote import Remote, ssh_command
from codesign.errors import BundleError, InputError, MismatchError, StorageError, ToolError, ToolRunError


def used(board, subject, count=5):
    """Load and run, and hold the outputs against the graph."""
    board.load(board.put_bundle(subject.content))
    found = board.run(subject.words(count), subject.format.output_words)
    assert np.array_equal(subject.format.decode(found), subject.outputs(count))


def test_a_whole_session(tmp_path):
    subject = made()
    with remote(tmp_path / "agent") as board:
        assert board.hello()["board"] == "Pynq-Z1"
        used(board, subject, 500)
        latency = board.measure_latency(subject.words(2), 5)
        assert latency["single"]["frames_out"] == 5
        assert set(board.measure_power(subject.words(9), 0.05)["rails"]) == {"INT", "AUX"}
        board.reset()
        used(board, made(2))
    assert {path.name for path in tmp_path.iterdir()} == {"agent"}


def test_a_large_run_goes_in_pieces(tmp_path, monkeypatch):
    subject = made()
    with remote(tmp_path / "agent") as board:
        board.load(board.put_bundle(subject.content))
        monkeypatch.setattr(remote_module, "MOST_DATA", 1 << 16)
        found = board.run(subject.words(5000), subject.format.output_words)
        assert np.array_equal(subject.format.decode(found), subject.outputs(5000))
        assert board.run(subject.words(5)[:0], subject.format.output_words).shape == (0, subject.format.output_words)


def test_what_the_board_prints_is_no_answer(tmp_path):
    with remote(tmp_path / "agent", "prints") as board:
        used(board, made())


def test_a_bundle_is_sent_once(tmp_path, monkeypatch):
    with remote(tmp_path / "agent") as board:
        board.put_bundle(made().content)
    with remote(tmp_path / "agent") as board:
        asked = []
        ask = board._ask
        monkeypatch.setattr(board, "_ask", lambda op, *a, **k: (asked.append(op), ask(op, *a, **k))[1])
        board.load(board.put_bundle(made().content))
        assert asked == ["hello", "load"]


def test_refusals_are_errors_of_our_tree(tmp_path):
    with remote(tmp_path / "agent") as board:
        with pytest.raises(InputError, match=r"^board standin: nothing is loaded on the board; load a bundle first$"):
            board.reset()
        with pytest.raises(BundleError, match=r"^board standin: the bundle is damaged or no bundle: File is not"):
            board.put_bundle(b"no bundle")
        other = made(1, "zcu104").content
        with pytest.raises(BundleError, match=r"the bundle is for board 'zcu104', and this is 'Pynq-Z1'$"):
            board.load(board.put_bundle(other))
        used(board, made())
        with (
            remote(tmp_path / "agent") as second,
            pytest.raises(ToolError, match=r"the board is in use by process \d+"),
        ):
            second.load(made().digest)
        used(board, made())


def test_a_stale_bitstream_is_a_mismatch(tmp_path):
    with remote(tmp_path / "agent", "stale") as board:
        used(board, made(1))
        with pytest.raises(MismatchError, match="a stale bitstream; deploy again"):
            board.load(board.put_bundle(made(2).content))


@pytest.mark.parametrize("place", ["program", "transfer"])
def test_an_agent_killed_in_the_middle(tmp_path, place):
    """As when the board reboots: the error says so, the lease is gone, and all goes on with a new session."""
    with remote(tmp_path / "agent", f"killed in {place}") as board:
        with pytest.raises(
            ToolRunError, match=r"^the connection to board standin was lost: it ended the session \(exit"
        ):
            used(board, made())
        with pytest.raises(ToolError, match=r"^the session with standin is over; begin a new one$"):
            board.hello()
    with remote(tmp_path / "agent") as board:
        used(board, made())


def test_an_agent_killed_while_it_keeps_a_bundle(tmp_path):
    """Half a file is left; the next agent takes it away, and nothing was kept under the bundle's name."""
    agent = tmp_path / "agent"
    with remote(agent) as board:
        board.put_bundle(made(2).content)
    (agent / f".new-{made().digest}.zip").write_bytes(made().content[:999])
    with remote(agent) as board:
        assert board.hello()["bundles"] == [made(2).digest]
        used(board, made())
    assert not list(agent.glob(".new*"))


@pytest.mark.parametrize(
    "operation", ["hello", "put_bundle", "load", "run", "measure_latency", "measure_power", "reset"]
)
def test_a_connection_lost_at_every_step(tmp_path, operation):
    """The process is gone just before each operation: an error, and a new session does everything."""
    subject = made()
    board = remote(tmp_path / "agent")
    with board:
        if operation not in ("hello", "put_bundle"):
            board.load(board.put_bundle(subject.content))
        else:
            board.hello()
        os.killpg(board._child.pid, signal.SIGKILL)
        board._child.wait()
        words = subject.words(2)
        calls = {
            "hello": board.hello,
            "put_bundle": lambda: board.put_bundle(subject.content),
            "load": lambda: board.load(subject.digest),
            "run": lambda: board.run(words, subject.format.output_words),
            "measure_latency": lambda: board.measure_latency(words, 1),
            "measure_power": lambda: board.measure_power(words, 0.05),
            "reset": board.reset,
        }
        with pytest.raises(ToolRunError, match=r"^the connection to board standin was lost: .*; try again$"):
            calls[operation]()
    with remote(tmp_path / "agent") as again:
        used(again, subject)


def test_a_board_that_hangs_is_left_after_the_limit(tmp_path, monkeypatch):
    """And killed with all that it started, so that the board is free."""
    monkeypatch.setattr(remote_module, "SECONDS", {**remote_module.SECONDS, "load": 0.5})
    with remote(tmp_path / "agent", "hangs in program") as board:
        digest = board.put_bundle(made().content)
        with pytest.raises(ToolRunError, match=r"^board standin did not answer load within 0.5 s; is it still up\?"):
            board.load(digest)
        assert board._child.returncode == -signal.SIGKILL
    with remote(tmp_path / "agent") as board:
        board.put_bundle(made().content)


def test_a_child_that_never_reads_is_left_too(monkeypatch):
    """More than a pipe holds is written to it, which blocks."""
    monkeypatch.setattr(remote_module, "SECONDS", {**remote_module.SECONDS, "run": 0.3})
    with Remote(["sleep", "60"], "deaf") as board:
        with pytest.raises(ToolRunError, match=r"^board deaf did not answer run within [0-9.]+ s"):
            board.run(np.zeros((10_000, 4), "<u4"), 1)
        assert board._child.returncode == -signal.SIGKILL


def test_grandchildren_do_not_hold_the_host(monkeypatch, tmp_path):
    monkeypatch.setattr(remote_module, "SECONDS", {**remote_module.SECONDS, "hello": 2.0})
    script = f"sleep 60 & echo $! > {tmp_path / 'pid'}; wait"
    with Remote(["sh", "-c", script], "family") as board, pytest.raises(ToolRunError, match="did not answer hello"):
        board.hello()
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not running(pid):
            break
        time.sleep(0.05)
    assert not running(pid)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        (
            "echo 'Permission denied (publickey).' >&2; exit 255",
            ToolError,
            "the key is not on the board: ssh-copy-id b",
        ),
        ("echo 'Host key verification failed.' >&2; exit 255", ToolError, "then connect once by hand: ssh b"),
        (
            "echo 'sudo: a password is required' >&2; exit 1",
            ToolError,
            "asks for a password; set the board up (docs/boards.md)",
        ),
        ("echo 'ssh: connect to host b port 22: Connection refused' >&2; exit 255", ToolError, "is it booted?"),
        ("echo 'ssh: connect to host b port 22: Connection timed out' >&2; exit 255", ToolError, "is it on, and on"),
        (
            "echo 'bash: codesign-agent: command not found' >&2; exit 127",
            ToolError,
            "the agent is not on the board; set the board up (docs/boards.md)",
        ),
        (
            "echo Welcome to PYNQ; cat > /dev/null",
            ToolError,
            "no agent answers on board b: this is no frame: it begins with",
        ),
        ("exit 3", ToolError, "no agent answers on board b: "),
        ("printf CDA1; exec 1>&-; cat > /dev/null", ToolError, "the stream ended within a frame: b'CDA1'"),
        ("printf 'CDA1\\002\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0{}'; cat > /dev/null", ToolRunError, "board b: None"),
    ],
)
def test_what_is_no_agent(script, error, said):
    with Remote(["sh", "-c", script], "b") as board, pytest.raises(error, match=re.escape(said)):
        board.hello()


def test_another_protocol_is_refused():
    program = (
        "import sys; sys.stdin.buffer.read(16)\n"
        "from boards.agent.wire import send; send(sys.stdout.buffer, {'ok': True, 'protocol': 99})"
    )
    said = r"^the agent on b speaks protocol 99, this version of codesign 1; set the board up again$"
    with Remote([sys.executable, "-c", program], "b") as board, pytest.raises(ToolError, match=said):
        board.hello()


def test_a_wrong_number_of_words_is_noticed():
    program = (
        "import sys; from boards.agent.wire import send, receive\n"
        "receive(sys.stdin.buffer); send(sys.stdout.buffer, {'ok': True, 'frames': 2}, b'1234')"
    )
    said = "it answered 2 frames with 2 in 4 bytes"
    with Remote([sys.executable, "-c", program], "b") as board, pytest.raises(ToolRunError, match=said):
        board.run(np.zeros((2, 1), "<u4"), 1)


def test_a_program_that_is_not_there():
    with pytest.raises(ToolError, match=r"^cannot start '/no/ssh' for board b: No such file or directory; install it$"):
        Remote(["/no/ssh", "b"], "b")


def test_a_full_disk_on_the_board(tmp_path):
    """A real one: the file size that the process may write is limited."""
    limited = ["sh", "-c", 'ulimit -f 1; trap "" XFSZ; exec "$@"', "sh", *command(tmp_path / "agent")]
    with Remote(limited, "small") as board:
        with pytest.raises(
            StorageError, match=r"^board small: the board's disk refuses: File too large; \d+ KiB are need"
        ):
            board.put_bundle(made().content)
        assert board.hello()["bundles"] == []
    assert not list((tmp_path / "agent").glob("*.zip"))


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a b", "", "xilinx@", "user@-x", "a;b", "$(x)", "a\nb"])
def test_what_is_no_host(host):
    with pytest.raises(
        InputError, match=f"^{re.escape(repr(host))} is no host for ssh; give it as board or user@board$"
    ):
        ssh_command(host, ["agent"])


def test_the_command_for_ssh_asks_for_nothing():
    made_command = ssh_command("xilinx@pynq.local", ["sudo", "-n", "/opt/an agent"])
    assert made_command[0] == "ssh"
    assert "-oBatchMode=yes" in made_command
    assert made_command[-3:] == ["xilinx@pynq.local", "--", "sudo -n '/opt/an agent'"]


def test_the_lease_goes_with_its_holder(tmp_path):
    first = remote(tmp_path / "agent")
    first.put_bundle(made().content)
    os.killpg(first._child.pid, signal.SIGKILL)
    first._child.wait()
    with remote(tmp_path / "agent") as second:
        second.load(made().digest)
    first.close()


def test_ending_is_quiet_and_can_be_repeated(tmp_path):
    board = remote(tmp_path / "agent")
    board.hello()
    board.close()
    board.close()
    assert board._child.returncode == 0


def test_an_interrupted_operation_ends_the_session(tmp_path, monkeypatch):
    """Its answer may still come, and must not be taken for the next one's."""

    def interrupted(_):
        raise KeyboardInterrupt

    with remote(tmp_path / "agent") as board:
        board.hello()
        monkeypatch.setattr(remote_module, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            board.hello()
        monkeypatch.undo()
        with pytest.raises(ToolRunError, match="^the connection to board standin was lost"):
            board.hello()
