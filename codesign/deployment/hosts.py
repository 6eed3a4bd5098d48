"""Hosts: real boards over ssh, and virtual ones in a process of this computer."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

from boards.bundle import Bundle
from boards.remote import Remote, ssh_command
from boards.setup import COMMAND, Agent, require_agent
from codesign.errors import InputError
from codesign.place import PROGRAM
from codesign.target import VIRTUAL, is_virtual


def agent() -> Agent:
    """This version's agent, for setting boards up."""
    return Agent.of(resources.files("hw").joinpath("host_format.py").read_text(encoding="utf-8"))


def setup_block(host: str) -> str:
    """What to paste on a board before its first use; InputError where ``host`` is none."""
    if is_virtual(host):
        raise InputError(f"{host} needs no setting up; leave out --setup")
    ssh_command(host, COMMAND)
    return agent().block(host.rpartition("@")[0] or None)


def connect(host: str, bundle: Bundle, *, said: Callable[[str], None] = lambda _: None) -> Remote:
    """A session with the board at ``host``: ``user@board``, ``board``, or ``virtual:NAME`` to run ``bundle`` on.

    ``said`` is told what takes its time. ToolMissingError with the block to paste where the board is not set up;
    ToolError where it cannot be reached.
    """
    if is_virtual(host):
        from codesign.deployment.virtual_board import virtual_command

        return Remote(virtual_command(host.removeprefix(VIRTUAL), bundle, said=said), host)
    if bundle.manifest["simulation_only"]:
        raise InputError(
            f"this bundle has no bitstream, it is for virtual boards; make one for {host} with: {PROGRAM} build"
        )
    said(f"connecting to {host}")
    require_agent(host, agent())
    return Remote(ssh_command(host, COMMAND), host)
