"""A shell script on a board by plain ssh: not through the agent, with the rights of the user who connects."""

from __future__ import annotations

import re
import subprocess

from boards.remote import ssh_command, unusable
from codesign.errors import ToolError, ToolRunError

SECONDS = 60.0
"""Limit of each command on a board that is not the agent."""
_NOT_FOUND = 127
"""What a login ends with that cannot run the shell: it is not the agent that is missing."""
_MARK = "codesign-board"
SAY = f"""say() {{ printf '{_MARK} %s %s\\n' "$1" "$2"; }}"""
"""For scripts: ``say WORD VALUE`` prints what :func:`told` finds among all that a login prints."""


def told(printed: str) -> dict[str, str]:
    """The values that a script with :data:`SAY` said, by their words."""
    return dict(re.findall(rf"^{_MARK} (\w+) (\S+)$", printed, re.MULTILINE))


def over_ssh(host: str, script: str, data: bytes = b"", more: float = 0.0) -> str:
    """What the script prints on the board; an error where it or the connection fails.

    ``data``: its stdin. ``more``: seconds that it may take beyond :data:`SECONDS`.
    """
    seconds = SECONDS + more
    command = ssh_command(host, ["sh", "-c", script])
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=seconds, check=False)
    except OSError as error:
        raise ToolError(f"cannot start {command[0]!r} for board {host}: {error.strerror}; install it") from None
    except subprocess.TimeoutExpired:
        raise ToolRunError(f"board {host} did not answer within {seconds:g} s; is it still up?") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        last = said.splitlines()[-1][:500] if said else f"exit code {done.returncode}"
        if done.returncode == _NOT_FOUND:
            raise ToolError(f"cannot use board {host}: {last}; the user who connects needs a shell there")
        raise unusable(host, said, last) or ToolError(f"cannot use board {host}: {last}")
    return done.stdout.decode("utf-8", "replace")
