"""A board's own processor: a folder of C is sent there, made, and taken away again.

By plain ssh, as the user who connects and with that user's rights. Not through the agent, which may be root's and runs
no code that comes over a wire.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from boards.plain_ssh import SAY, over_ssh, told
from boards.remote import BYTES_PER_SECOND
from codesign.errors import ToolError, ToolRunError

LIMIT = 900.0
"""Seconds that make may take, after which it ends there even if nobody is connected any more."""
_LATE = "124"  # what timeout ends with
_MAKE = f"""{SAY}
for tool in mktemp tar timeout make gcc; do
  command -v $tool > /dev/null || {{ say lacks $tool; exit 0; }}
done
umask 077
folder=$(mktemp -d) || exit
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT PIPE TERM
cd "$folder" && tar -xf - || exit
timeout $limit make -s -B test time 2>&1
code=$?
echo
say ended $code
"""


def make(host: str, folder: Path) -> str:
    """What ``make -s -B test time`` prints in a copy of ``folder`` on ``host``, of which nothing stays there.

    InputError for what is no host; ToolError where it cannot be used or lacks a tool; ToolRunError where make fails or
    takes longer than :data:`LIMIT`, with what it printed as the log.
    """
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in sorted(folder.iterdir()):  # not the folder itself, whose mode the one there would take over
            archive.add(path, path.name)
    data = content.getvalue()
    said = over_ssh(host, f"limit={LIMIT:g}\n{_MAKE}", data, more=LIMIT + len(data) / BYTES_PER_SECOND)
    marks, lines = told(said), said.strip().splitlines() or ["nothing"]
    if "lacks" in marks:
        raise ToolError(
            f"cannot time the C model on {host}: {marks['lacks']} is not there; install it (Debian, Ubuntu: "
            "apt install gcc make coreutils tar)"
        )
    if "ended" not in marks:
        raise ToolError(
            f"cannot time the C model on {host}: it ran something else ({lines[-1][:500]}); is the key for the agent "
            "alone? Connect with one that may start a shell"
        )
    printed, code = "\n".join(lines[:-1]).rstrip(), marks["ended"]
    if code == _LATE:
        raise ToolRunError(f"the C model on {host} took longer than {LIMIT:g} s to compile, compare and time", printed)
    if code != "0":
        last = printed.rpartition("\n")[2][:500]
        raise ToolRunError(f"make of the C model on {host} ended with code {code}: {last}", printed)
    return printed
