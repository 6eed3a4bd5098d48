"""What a search does with a host: see that it can be used, make a bundle for it, begin a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from boards.bundle import SUFFIX, Bundle, read_bundle
from boards.catalogue import load_board
from boards.remote import Remote, ssh_command
from boards.setup import COMMAND, require_agent
from codesign import build as builds
from codesign.build_subject import Buildable
from codesign.deployment.hosts import agent, connect
from codesign.deployment.pynq_environment import pynq_python
from codesign.deployment.virtual_board import BOARDS
from codesign.errors import (
    BundleError,
    CandidateError,
    InputError,
    TargetError,
    ToolError,
    ToolMissingError,
    nearest,
)
from codesign.record import Record
from codesign.run import Run
from codesign.study import Study
from codesign.target import VIRTUAL, is_virtual
from codesign.task import Task
from codesign.vivado import find_vivado

Say = Callable[[str], None]


class _Connect(Protocol):
    def __call__(self, host: str, bundle: Bundle, *, said: Say) -> Remote: ...


def greet(host: str, said: Say) -> str | None:
    """The name of the board at ``host``, None where it does not know it.

    Raises ToolMissingError where it is not set up, ToolError where it cannot be reached now, InputError for none.
    """
    if is_virtual(host):
        name = host.removeprefix(VIRTUAL)
        if name not in BOARDS:
            raise InputError(f"unknown virtual board {name!r}: {nearest(name, BOARDS)}")
        pynq_python(BOARDS[name][1], said)
        return name
    find_vivado(f"search with virtual boards, or without board.hosts ({host} is a real board)")
    said(f"connecting to {host}")
    require_agent(host, agent())
    with Remote(ssh_command(host, COMMAND), host) as remote:
        found = remote.hello().get("board", "")
    if found is not None and not (isinstance(found, str) and found):
        raise ToolError(f"board {host}: the agent's answer does not say which board it is; set it up again")
    return found


def build(run: Run, record: Record, host: str, said: Say) -> Bundle:
    """A candidate's bundle: with a bitstream for a real board, unless it was built before, without for a virtual one.

    Raises as :func:`codesign.build.build`.
    """
    if is_virtual(host):
        return builds.simulation_bundle(Buildable.stored(run, record))
    planned = builds.build(Buildable.stored(run, record), "bitstream", dry_run=True)
    assert planned.overlay is not None
    path = planned.folder / f"{planned.overlay.stem}{SUFFIX}"  # the stem stands for all that goes into a build
    if path.is_file():
        try:
            return read_bundle(path)
        except BundleError as error:
            said(str(error))  # it is built again
    builds.build(Buildable.stored(run, record), "bitstream", phase=said)
    return read_bundle(path)


@dataclass(frozen=True)
class BoardTools:
    """The two functions above and :func:`codesign.deployment.hosts.connect`, or a test's own."""

    greet: Callable[[str, Say], str | None] = greet
    build: Callable[[Run, Record, str, Say], Bundle] = build
    connect: _Connect = connect


def require_hosts(study: Study, task: Task, tools: BoardTools, said: Say) -> None:
    """See, before anything is searched, that the study's hosts are its board's and are set up.

    One that cannot be reached now is only ``said``: it may be back when it is needed. Raises TargetError,
    ToolMissingError, InputError.
    """
    hosts = study.board.hosts
    if not hosts:
        return
    board = task.target.board
    if board is None or study.target.board is None:
        raise TargetError(
            f"board.hosts names {hosts[0]}, and the study is for the bare part {task.target.part.name}; set "
            "target.board instead of target.part, or leave board.hosts out"
        )
    if load_board(study.target.board).ps is None:
        raise TargetError(
            f"board.hosts names {hosts[0]}, and board {board!r} has no [ps] table, so nothing can be built for it; add "
            "one (docs/build.md), or leave board.hosts out"
        )
    for host in sorted(hosts, key=is_virtual):  # these are made ready, which takes time
        try:
            found = tools.greet(host, said)
        except (ToolError, CandidateError) as error:  # CandidateError: it hangs, or the connection was lost
            if isinstance(error, ToolMissingError) or is_virtual(host):
                raise
            said(f"{error}; it is tried again when it is needed")
            continue
        if found is not None and found.casefold() != board.casefold():
            raise TargetError(f"board.hosts: {host} is board {found!r}, and the study is for {board!r}; take it out")
