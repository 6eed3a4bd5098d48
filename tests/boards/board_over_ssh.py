"""A board that is a folder: stand-ins for ssh, sudo and visudo run what they are given on this computer, below it.

They stand in for our side only: that ssh, sudo and a PYNQ image behave so is not shown by anything that uses them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PREFIXES = "s#/usr/local/#{root}/usr/local/#g; s#/etc/#{root}/etc/#g"
SSH = """#!/bin/sh
# ssh -T -o... HOST -- COMMAND
while [ "$1" != -- ]; do before=$1; shift; done
shift
echo "$before: $*" >> {root}/ssh.log
cat {root}/ssh.says >&2
[ ! -s {root}/ssh.says ] || exit 255
[ ! -e {root}/forced ] || set -- "sudo -n /usr/local/sbin/codesign-board"
export HOME={root}/home/xilinx PATH={root}/bin:$PATH
exec sh -c "$(printf '%s' "$*" | sed -e '{prefixes}')"
"""
SUDO = """#!/bin/bash
# As much of sudo as is needed: one rule, that of the file; -n never asks, without it the password is right.
launcher={root}/usr/local/sbin/codesign-board
quiet= list=
while :; do case $1 in -n) quiet=1; shift;; -l) list=1; shift;; -u) shift 2; exec "$@";; *) break;; esac; done
rule=$(cat {root}/etc/sudoers.d/codesign-board 2> /dev/null)
if [ -z "$quiet" ]; then exec "$@"; fi
if [ ! -x "$launcher" ] && [ "$1" = "$launcher" ]; then
  echo "sudo: /usr/local/sbin/codesign-board: command not found" >&2
  exit 1
fi
if [ "$rule" != "xilinx ALL=(root) NOPASSWD: $launcher \\"\\"" ] || [ $# -ne 1 ] || [ "$1" != "$launcher" ]; then
  echo "sudo: a password is required" >&2
  exit 1
fi
[ -z "$list" ] || exit 0
sed -e '{prefixes}' "$launcher" > {root}/launcher.run
exec env -i PATH="$PATH" bash {root}/launcher.run
"""
VISUDO = """#!/bin/sh
echo "visudo $*" >> {root}/visudo.log
[ ! -e {root}/visudo.fails ] || {{ echo "visudo: syntax error" >&2; exit 1; }}
"""
GETENT = "#!/bin/sh\necho xilinx:x:1000:1000::{root}/home/xilinx:/bin/bash\n"
ID = "#!/bin/sh\necho xilinx\n"
PYTHON = """#!/bin/sh
[ "$1" = -I ] && [ "$VIRTUAL_ENV" = yes ] && [ "$XILINX_XRT" = /usr ] || {{ echo "a wrong start: $*" >&2; exit 1; }}
PYTHONPATH={path} exec {python} {here}/board_standin.py "$2" {root}/state $(cat {root}/faults)
"""


class Board:
    """``folder/bin`` holds the board's programs, ``folder/host`` the ssh for this computer's PATH."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("bin", "host", "home/xilinx", "etc/sudoers.d", "etc/profile.d", "usr/local/share/pynq-venv/bin"):
            (root / name).mkdir(parents=True)
        for name in ("ssh.log", "ssh.says", "visudo.log", "faults"):
            (root / name).touch()
        for name, text in {"sudo": SUDO, "visudo": VISUDO, "getent": GETENT, "id": ID}.items():
            self._program(f"bin/{name}", text)
        self._program("host/ssh", SSH)
        self._program("usr/local/share/pynq-venv/bin/python3", PYTHON)
        # an environment that prints, as some do
        (root / "etc/profile.d/pynq_venv.sh").write_text("export VIRTUAL_ENV=yes; echo activated\n")
        (root / "etc/profile.d/xrt_setup.sh").write_text("export XILINX_XRT=/usr\n")

    @property
    def path(self) -> str:
        """PATH of the host, with the stand-in for ssh first."""
        return f"{self.root / 'host'}{os.pathsep}{os.environ['PATH']}"

    def ssh_says(self, text: str) -> None:
        """What ssh says before it ends with an error; nothing: it works."""
        (self.root / "ssh.says").write_text(f"{text}\n" if text else "")

    def faults(self, *names: str) -> None:
        """What goes wrong in the next agent; names without spaces only in the launcher's words."""
        (self.root / "faults").write_text(" ".join(name.replace(" ", "_") for name in names))

    def program(self, name: str, text: str) -> None:
        """A program on the board; ``bin/NAME`` stands in front of this computer's."""
        path = self.root / name
        path.write_text(text)
        path.chmod(0o755)

    def paste(self, block: str) -> subprocess.CompletedProcess[str]:
        """Run a block in a shell of the board."""
        environment = {**os.environ, "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        command = ["bash", "-c", self.below(block)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)

    def below(self, block: str) -> str:
        """A block with the board's folders in place of the real ones, but for the launcher, whose sum is held."""
        head, launcher, tail = re.split(r"(?s)(?<=END_OF_LAUNCHER'\n)(.*)(?=END_OF_LAUNCHER\n)", block)
        inside = {"/usr/local/": f"{self.root}/usr/local/", "/etc/": f"{self.root}/etc/"}
        for place, replaced in inside.items():
            head, tail = head.replace(place, replaced), tail.replace(place, replaced)
        return head + launcher + tail

    def _program(self, name: str, text: str) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(HERE)])
        values = {"root": self.root, "here": HERE, "python": sys.executable, "path": path}
        self.program(name, text.format(**values, prefixes=PREFIXES.format(root=self.root)))
