"""Setting a board up: the printed block, really run, against stand-ins for ssh, sudo, visudo and the image's Python."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from boards import plain_ssh, processor, setup
from boards.remote import Remote, ssh_command
from boards.setup import COMMAND, Agent, require_agent
from codesign.errors import ToolError, ToolMissingError, ToolRunError

HOST_FORMAT = (Path(__file__).resolve().parents[2] / "hw" / "host_format.py").read_text(encoding="utf-8")
AGENT = Agent.of(HOST_FORMAT)
HOST = "xilinx@pynq"


def missing(host=HOST):
    with pytest.raises(ToolMissingError) as caught:
        require_agent(host, AGENT)
    return str(caught.value)


def set_up(fresh_board):
    """As a user does it: paste what the message ends with."""
    done = fresh_board.paste(missing().split("\n\n", 1)[1])
    assert (done.returncode, done.stdout, done.stderr) == (0, "codesign: this board is set up for xilinx\n", "")


def test_a_board_is_set_up_by_one_block_and_then_answers(fresh_board):
    said = missing()
    assert said.startswith(
        "cannot use board xilinx@pynq yet: the agent is not on the board; paste this into a terminal on the board, "
        "where you may use sudo (or into one of its Jupyter, which is root's), then run the same command again:\n\n"
        "sudo bash -s -- xilinx <<'END_OF_CODESIGN'\n"
    )
    set_up(fresh_board)
    require_agent(HOST, AGENT)
    with Remote(ssh_command(HOST, COMMAND), HOST) as remote:
        hello = remote.hello()
    assert (hello["board"], hello["versions"]["pynq"]) == ("Pynq-Z1", "3.0.1")


def test_what_the_block_leaves(fresh_board):
    set_up(fresh_board)
    root = fresh_board.root
    folder = root / "usr/local/lib/codesign-board"
    launcher = root / "usr/local/sbin/codesign-board"
    assert [path.name for path in folder.iterdir()] == ["agent.zip"]
    assert (folder / "agent.zip").read_bytes() == AGENT.archive
    assert launcher.read_text() == AGENT.launcher
    assert {oct(path.stat().st_mode & 0o777) for path in (launcher, folder)} == {"0o755"}
    assert oct((root / "etc/sudoers.d/codesign-board").stat().st_mode & 0o777) == "0o440"
    assert f"visudo -c -q -f {folder}/sudoers.new" in (root / "visudo.log").read_text()
    sent = list((root / "home/xilinx/.codesign").iterdir())
    assert [path.name for path in sent] == [f"agent-{AGENT.digest}.zip"]
    assert sent[0].stat().st_mode & 0o077 == 0


def test_the_line_of_sudoers_is_there_to_read_and_allows_one_command_without_arguments():
    block = AGENT.block("ubuntu")
    assert '\nubuntu ALL=(root) NOPASSWD: /usr/local/sbin/codesign-board ""\n' in block
    assert block.startswith("sudo bash -s -- ubuntu <<'END_OF_CODESIGN'\n")
    anyone = AGENT.block(None)
    assert anyone.startswith('sudo bash -s -- "$(id -un)" <<')
    assert '\n$user ALL=(root) NOPASSWD: /usr/local/sbin/codesign-board ""\n' in anyone


def test_the_block_for_whoever_pastes_it(fresh_board):
    missing()
    assert fresh_board.paste(AGENT.block(None)).returncode == 0
    require_agent(HOST, AGENT)


@pytest.mark.parametrize("user", ["xilinx", None])
def test_the_scripts_are_scripts(user):
    for shell, text in (
        ("bash", AGENT.block(user)),
        ("bash", AGENT.launcher),
        ("sh", setup._LOOK),
        ("sh", setup._COPY),
        ("sh", processor._MAKE),
    ):
        done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_block_pasted_into_an_interactive_shell(fresh_board):
    """History, prompts and the terminal's line discipline are in the way there."""
    text = fresh_board.below(missing().split("\n\n", 1)[1])
    pid, terminal = pty.fork()
    if pid == 0:
        path = f"{fresh_board.root / 'bin'}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PS1": "$ ", "HISTFILE": ""}
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    said = b""
    rest, end = f"{text}\nexit\n".encode(), time.monotonic() + 30
    while time.monotonic() < end:
        readable, writable, _ = select.select([terminal], [terminal] if rest else [], [], 1.0)
        if writable:
            rest = rest[os.write(terminal, rest[:256]) :]
        if readable:
            try:
                said += os.read(terminal, 4096)
            except OSError:  # the shell has ended
                break
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b"codesign: this board is set up for xilinx" in said, said.decode()
    assert b"event not found" not in said
    require_agent(HOST, AGENT)


def test_half_a_paste_does_nothing(fresh_board):
    block = missing().split("\n\n", 1)[1]
    end = block.index('main "$@"')
    assert fresh_board.paste(block[:end]).stdout == ""
    assert not list((fresh_board.root / "etc/sudoers.d").iterdir())
    assert not (fresh_board.root / "usr/local/lib").exists()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("agent", "the agent on the board is of another version"),
        ("launcher", "the agent on the board is of another version"),
        ("no launcher", "the agent is not on the board"),
        ("sudoers", "sudo on the board asks for a password to start the agent"),
    ],
)
def test_what_is_not_as_it_must_be_is_said_and_mended_by_the_block(fresh_board, change, problem):
    set_up(fresh_board)
    launcher = fresh_board.root / "usr/local/sbin/codesign-board"
    if change == "agent":
        (fresh_board.root / "usr/local/lib/codesign-board/agent.zip").write_bytes(b"older")
    elif change == "launcher":
        launcher.write_text("#!/bin/bash\n")
    elif change == "no launcher":
        launcher.unlink()
    else:
        (fresh_board.root / "etc/sudoers.d/codesign-board").unlink()
    assert missing().startswith(f"cannot use board xilinx@pynq yet: {problem}; paste this")
    set_up(fresh_board)
    require_agent(HOST, AGENT)


def test_a_password_is_never_waited_for(fresh_board):
    """Also where only the start of the agent would ask for one."""
    set_up(fresh_board)
    (fresh_board.root / "etc/sudoers.d/codesign-board").unlink()
    with (
        Remote(ssh_command(HOST, COMMAND), HOST) as remote,
        pytest.raises(
            ToolError,
            match=r"^cannot use board xilinx@pynq: sudo: a password is required; sudo on the board asks for a "
            r"password; set the board up \(docs/boards.md\)$",
        ),
    ):
        remote.hello()


def test_a_line_that_visudo_refuses_is_not_installed(fresh_board):
    block = missing().split("\n\n", 1)[1]
    (fresh_board.root / "visudo.fails").touch()
    done = fresh_board.paste(block)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "visudo: syntax error\n")
    assert not list((fresh_board.root / "etc/sudoers.d").iterdir())
    assert not list((fresh_board.root / "usr/local/lib/codesign-board").iterdir())


def test_without_the_archive_the_block_says_what_sends_it(fresh_board):
    done = fresh_board.paste(AGENT.block("xilinx"))
    assert done.returncode == 1
    assert re.fullmatch(
        r"codesign: \S+/home/xilinx/.codesign/agent-[0-9a-f]{64}.zip is not there; codesign deploy sends it: run that "
        r"first, then paste this again\n",
        done.stderr,
    )
    assert not (fresh_board.root / "usr/local/lib").exists()


def test_an_archive_that_was_changed_is_not_installed(fresh_board):
    block = missing().split("\n\n", 1)[1]
    (fresh_board.root / f"home/xilinx/.codesign/agent-{AGENT.digest}.zip").write_bytes(AGENT.archive[:-1])
    done = fresh_board.paste(block)
    assert done.returncode == 1
    assert "agent.new: FAILED" in done.stdout
    assert not list((fresh_board.root / "usr/local/lib/codesign-board").iterdir())


def test_the_archive_arrives_whole_or_not_at_all(fresh_board, monkeypatch):
    cut = Agent(AGENT.archive[:1000], AGENT.launcher)
    monkeypatch.setattr(Agent, "digest", AGENT.digest)
    with pytest.raises(ToolError, match=r"^cannot use board xilinx@pynq: the archive arrived damaged$"):
        setup.copy(HOST, cut)
    assert not list((fresh_board.root / "home/xilinx/.codesign").iterdir())


def test_the_archive_is_the_agent_and_always_the_same():
    assert Agent.of(HOST_FORMAT).archive == AGENT.archive
    with zipfile.ZipFile(io.BytesIO(AGENT.archive)) as archive:
        names = archive.namelist()
    assert {"__main__.py", "codesign_board/__main__.py", "codesign_board/server.py"} <= set(names)
    assert len(AGENT.archive) < 100_000


def test_a_key_that_may_only_start_the_agent(fresh_board):
    set_up(fresh_board)
    (fresh_board.root / "forced").touch()
    require_agent(HOST, AGENT)
    with Remote(ssh_command(HOST, COMMAND), HOST) as remote:
        assert remote.hello()["board"] == "Pynq-Z1"


def test_the_launcher_takes_no_arguments():
    done = subprocess.run(
        ["bash", "-s", "--", "-c", "id"], input=AGENT.launcher, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "codesign-board takes no arguments\n")


def test_a_board_that_does_not_answer_is_left(fresh_board, monkeypatch):
    (fresh_board.root / "host/ssh").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(plain_ssh, "SECONDS", 0.2)
    with pytest.raises(ToolRunError, match=r"^board xilinx@pynq did not answer within 0.2 s; is it still up\?$"):
        require_agent(HOST, AGENT)


def test_without_ssh(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ToolError, match=r"^cannot start 'ssh' for board xilinx@pynq: No such file or directory; install"
    ):
        require_agent(HOST, AGENT)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (
            "ssh: connect to host pynq port 22: No route to host",
            "the board does not answer: is it on, and on this network?",
        ),
        ("ssh: connect to host pynq port 22: Connection timed out", "the board does not answer: is it on, and on this"),
        (
            "ssh: Could not resolve hostname pynq: Name or service not known",
            "no such host: correct its name, or use the",
        ),
        ("ssh: connect to host pynq port 22: Connection refused", "the board runs no ssh server: is it booted?"),
        (
            "xilinx@pynq: Permission denied (publickey,password).",
            "the key is not on the board: ssh-copy-id xilinx@pynq",
        ),
        ("Host key verification failed.", "check the board's key, then connect once by hand: ssh xilinx@pynq"),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "another board, or a new image? If you know why: ssh-keygen -R pynq, then ssh xilinx@pynq",
        ),
        (
            "kex_exchange_identification: read: Connection reset by peer",
            "the board ended the connection: is it still boot",
        ),
        (
            "ssh: connect to host pynq port 22: Network is unreachable",
            "this computer has no way to the board: is it on",
        ),
    ],
)
def test_what_ssh_says_comes_with_what_to_do(fresh_board, said, hint):
    fresh_board.ssh_says(said)
    last = said.splitlines()[-1]
    with pytest.raises(ToolError) as caught:
        require_agent(HOST, AGENT)
    assert str(caught.value).startswith(f"cannot use board xilinx@pynq: {last}; {hint}")
    assert type(caught.value) is ToolError


def test_other_words_of_ssh_are_passed_on(fresh_board):
    fresh_board.ssh_says("something else")
    with pytest.raises(ToolError, match=r"^cannot use board xilinx@pynq: something else$"):
        require_agent(HOST, AGENT)
