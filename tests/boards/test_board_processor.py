"""A folder that is made on a board, and what stays there: nothing. The board is this computer behind another ssh."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from boards import processor
from codesign.errors import InputError, ToolError, ToolRunError

HOST = "xilinx@pynq"
NEEDED = "sh cat sed tar timeout make mktemp rm"
REFUSED = "xilinx@pynq: Permission denied (publickey,password)."


@pytest.fixture
def board(fresh_board):
    folder = fresh_board.root / "tmp"
    folder.mkdir()
    fresh_board.program("bin/mktemp", f'#!/bin/sh\nexec {shutil.which("mktemp")} "$@" -p {folder}')
    yield fresh_board
    assert list(folder.iterdir()) == []


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "folder"
    (made / "golden").mkdir(parents=True)
    (made / "golden" / "data").write_text("golden data\n")
    return made


def rules(folder, test, time="@echo timed"):
    (folder / "Makefile").write_text(f"test:\n\t{test}\ntime:\n\t{time}\n")


def test_the_folder_is_made_in_one_that_only_the_user_can_read(board, folder):
    rules(folder, "@pwd; stat -c %a .; cat golden/data")
    place, mode, *more = processor.make(HOST, folder).splitlines()
    assert place.startswith(f"{board.root}/tmp/")
    assert (mode, more) == ("700", ["golden data", "timed"])


@pytest.mark.parametrize(
    ("test", "limit", "message"),
    [
        ("@echo no room; exit 3", 60, "make of the C model on xilinx@pynq ended with code 2: make: .* Error 3"),
        (
            "@echo begun; sleep 60",
            2,
            "the C model on xilinx@pynq took longer than 2 s to compile, compare and time",
        ),
    ],
)
def test_what_fails_there_says_so(board, folder, monkeypatch, test, limit, message):
    monkeypatch.setattr(processor, "LIMIT", limit)
    rules(folder, test)
    with pytest.raises(ToolRunError, match=f"^{message}$") as caught:
        processor.make(HOST, folder)
    assert caught.value.log.startswith(("no room\n", "begun\n"))


@pytest.mark.parametrize("missing", ["gcc", "mktemp"])
def test_a_board_without_a_tool(board, folder, tmp_path, monkeypatch, missing):
    rules(folder, "@true")
    (tmp_path / "few").mkdir()
    for name in sorted({*NEEDED.split()} - {missing}):
        (tmp_path / "few" / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", f"{board.root}/host{os.pathsep}{tmp_path}/few")
    (board.root / "bin" / missing).unlink(missing_ok=True)
    message = rf"^cannot time the C model on xilinx@pynq: {missing} is not there; install it \(Debian, Ubuntu: apt"
    with pytest.raises(ToolError, match=message):
        processor.make(HOST, folder)


def test_boards_that_cannot_be_used(board, folder):
    rules(folder, "@true")
    board.program("bin/mktemp", "#!/bin/sh\necho 'mktemp: No space left on device' >&2; exit 1")
    with pytest.raises(
        ToolError, match=r"^cannot use board xilinx@pynq: mktemp: .*; the board's disk is full; make room"
    ):
        processor.make(HOST, folder)
    board.program("bin/sudo", "#!/bin/sh\necho hello")
    (board.root / "forced").touch()
    with pytest.raises(ToolError, match=r"it ran something else \(hello\); is the key for the agent alone\? Connect"):
        processor.make(HOST, folder)
    board.ssh_says(REFUSED)
    with pytest.raises(ToolError, match=r"^cannot use board xilinx@pynq: .*; the key is not on the board: ssh-copy-id"):
        processor.make(HOST, folder)
    with pytest.raises(InputError, match=r"^'-oProxyCommand=x' is no host for ssh; give it as board or user@board$"):
        processor.make("-oProxyCommand=x", folder)
    board.program("host/ssh", "#!/bin/sh\necho 'sh: command not found' >&2\nexit 127")
    with pytest.raises(
        ToolError, match=r"^cannot use board xilinx@pynq: sh: command not found; the user who connects "
    ):
        processor.make(HOST, folder)


def test_nothing_stays_where_the_connection_is_lost(board, folder):
    """As sshd leaves it: the script goes on, with nobody to print to."""
    rules(folder, f"@touch {board.root}/begun; sleep 0.2; echo lost")
    environment = {**os.environ, "PATH": f"{board.root / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = ["sh", "-c", f"limit=60\n{processor._MAKE}"]
    alone = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    alone.stdout.close()
    with alone.stdin as stdin:
        subprocess.run(["tar", "-C", folder, "-cf", "-", "."], stdout=stdin, check=True)
    assert alone.wait(30) != 0
    assert (board.root / "begun").exists()
