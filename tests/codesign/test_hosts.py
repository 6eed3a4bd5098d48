"""From a host's name to a session: real boards, virtual ones, and what is said where there is none."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from agent_bundles import made

from codesign.cli import main
from codesign.deployment import hosts
from codesign.errors import InputError, ToolMissingError

HOST = "xilinx@pynq"


def test_a_board_that_is_set_up(fresh_board):
    with pytest.raises(ToolMissingError) as caught:
        hosts.connect(HOST, made().bundle)
    fresh_board.paste(str(caught.value).split("\n\n", 1)[1])
    said = []
    with hosts.connect(HOST, made().bundle, said=said.append) as remote:
        assert remote.hello()["board"] == "Pynq-Z1"
    assert said == ["connecting to xilinx@pynq"]
    assert set(re.findall(r"^(\S+):", (fresh_board.root / "ssh.log").read_text(), re.MULTILINE)) == {HOST}


def test_a_bundle_of_a_virtual_board_is_not_for_a_real_one(fresh_board):
    with pytest.raises(
        InputError,
        match=r"^this bundle has no bitstream, it is for virtual boards; make one for xilinx@pynq with: python -m "
        r"codesign build$",
    ):
        hosts.connect(HOST, made(1, simulation_only=True).bundle)
    assert (fresh_board.root / "ssh.log").read_text() == ""


def test_unknown_virtual_boards():
    with pytest.raises(InputError, match=r"^unknown virtual board 'pynq-z9': did you mean pynq-z1\?$"):
        hosts.connect("virtual:pynq-z9", made().bundle)


def test_what_is_no_host():
    with pytest.raises(InputError, match=r"^'-oProxyCommand=x' is no host for ssh; give it as board or user@board$"):
        hosts.connect("-oProxyCommand=x", made().bundle)


@pytest.mark.parametrize(("host", "who"), [("ubuntu@kria", "ubuntu"), ("kria", '"$(id -un)"')])
def test_setup_prints_the_block_and_connects_to_nothing(fresh_board, capsys, monkeypatch, host, who):
    shutil.rmtree(fresh_board.root / "home")
    assert main(["deploy", "--host", host, "--setup"]) == 0
    out, err = capsys.readouterr()
    assert out == hosts.agent().block(None if who.startswith('"') else who)
    assert out.startswith(f"sudo bash -s -- {who} <<'END_OF_CODESIGN'\n")
    assert err == ""
    assert (fresh_board.root / "ssh.log").read_text() == ""


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("virtual:pynq-z1", "virtual:pynq-z1 needs no setting up; leave out --setup"),
        ("a b", "'a b' is no host for ssh; give it as board or user@board"),
    ],
)
def test_setup_of_what_is_no_board(capsys, host, message):
    assert main(["deploy", "--host", host, "--setup"]) == 2
    assert capsys.readouterr().err == f"codesign: error: {message}\n"


def test_the_agents_archive_comes_from_the_sources():
    format_ = (Path(__file__).resolve().parents[2] / "hw" / "host_format.py").read_text(encoding="utf-8")
    assert format_.encode() in hosts.agent().archive
