"""Setting a board up, once: its agent, who may start it, and the one block to paste for both.

The agent is a small archive that only root may write, and a launcher starts it in the image's own Python environment.
One line of sudoers lets one user start that launcher, without arguments and without a password, and nothing else. Where
it is missing or of another version, the archive is sent to the user's home, which takes no root, and the block makes
the rest of it. Nothing here ever waits for a password.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from importlib import resources
from string import Template

from boards.agent.archive import sha256
from boards.driver import driver_files
from boards.plain_ssh import SAY, over_ssh, told
from codesign.errors import ToolError, ToolMissingError

LAUNCHER = "/usr/local/sbin/codesign-board"
COMMAND = ("sudo", "-n", LAUNCHER)
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_LOOK = f"""
{SAY}
sum() {{ if [ -r "$1" ]; then sha256sum < "$1" | cut -d ' ' -f 1; else echo none; fi; }}
say user "$(id -un)"
say agent "$(sum /usr/local/lib/codesign-board/agent.zip)"
say launcher "$(sum {LAUNCHER})"
# listing the rule would not show whether a later one asks for a password; the agent ends at once where nothing comes,
# and 1 is what sudo refuses with
sudo -n {LAUNCHER} < /dev/null > /dev/null 2>&1
if [ $? -ne 1 ]; then say sudo yes; else say sudo no; fi
"""
_COPY = """
set -e
umask 077
mkdir -p "$HOME/.codesign"
new="$HOME/.codesign/new-$$"
trap 'rm -f "$new"' EXIT
cat > "$new"
[ "$(sha256sum < "$new" | cut -d ' ' -f 1)" = $digest ] || { echo 'the archive arrived damaged' >&2; exit 1; }
mv "$new" "$HOME/.codesign/agent-$digest.zip"
"""


@dataclass(frozen=True)
class Agent:
    """What a board needs of us, besides bundles: the agent's ``archive`` and its ``launcher``."""

    archive: bytes
    launcher: str

    @classmethod
    def of(cls, host_format: str) -> Agent:
        """This version's; ``host_format`` as for :func:`.driver_files`. The same files give the same bytes."""
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:  # no compressor shows in its sum
            for name, data in sorted(driver_files(host_format).items()):
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
        return cls(written.getvalue(), _text("launcher.sh"))

    @property
    def digest(self) -> str:
        """SHA-256 of the archive."""
        return sha256(self.archive)

    def block(self, user: str | None) -> str:
        """What to paste into a terminal on the board; ``user`` is who connects, by default whoever pastes it."""
        assert user is None or re.fullmatch(_USER, user), user
        who, rule = (user, user) if user is not None else ('"$(id -un)"', "$user")
        return Template(_text("setup.sh")).substitute(
            who=who, rule=rule, digest=self.digest, launcher=self.launcher.rstrip("\n")
        )


@dataclass(frozen=True)
class Found:
    """What a board has: sums of agent and launcher (``none`` without), and whether sudo lets ``user`` start it."""

    user: str
    agent: str
    launcher: str
    sudo: str


def require_agent(host: str, agent: Agent) -> None:
    """See that ``host`` has this agent and lets us start it.

    Otherwise send the archive to the user's home and raise ToolMissingError with the block to paste. ToolError where
    the board cannot be reached. A key that may start nothing but the agent shows nothing of it: then all is well here.
    """
    found = look(host)
    if found is None:
        return
    if found.agent == "none" or found.launcher == "none":
        problem = "the agent is not on the board"
    elif found.agent != agent.digest or found.launcher != sha256(agent.launcher.encode()):
        problem = "the agent on the board is of another version"
    elif found.sudo != "yes":
        problem = "sudo on the board asks for a password to start the agent"
    else:
        return
    copy(host, agent)
    raise ToolMissingError(
        f"cannot use board {host} yet: {problem}; paste this into a terminal on the board, where you may use sudo (or "
        f"into one of its Jupyter, which is root's), then run the same command again:\n\n{agent.block(found.user)}"
    )


def look(host: str) -> Found | None:
    """What is on the board, by plain ssh; None where the key is for the agent alone."""
    said = told(over_ssh(host, _LOOK))
    if "sudo" not in said:
        return None
    if not re.fullmatch(_USER, said["user"]):  # it becomes part of what root is to paste
        raise ToolError(f"user {said['user']!r} of {host} cannot be set up: connect as one of letters, digits, . _ -")
    return Found(said["user"], said["agent"], said["launcher"], said["sudo"])


def copy(host: str, agent: Agent) -> None:
    """Send the archive to the user's home, whole or not at all."""
    over_ssh(host, f"digest={agent.digest}\n{_COPY}", agent.archive)


def _text(name: str) -> str:
    return resources.files("boards").joinpath(name).read_text(encoding="utf-8")
