"""A program that takes the place of ``vivado`` on PATH: runs the script by the stand-in, and writes a log as it goes.

The environment variable STANDIN (JSON) chooses what it does: ``reports`` (files by name, instead of the stand-in's
own texts), ``crash`` or ``hang`` (phase in which it does so), ``forget`` (a file that it does not leave behind).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

from vivado_stub import REPORTS, Vivado


def main(arguments: list[str]) -> int:
    """As ``vivado -mode batch -notrace -nojournal -log LOG -source SCRIPT``; the exit code."""
    assert arguments[:5] == ["-mode", "batch", "-notrace", "-nojournal", "-log"], arguments
    log, option, source = arguments[5:]
    assert option == "-source"
    script = Path(source).read_text(encoding="utf-8")
    behaviour = json.loads(os.environ.get("STANDIN", "{}"))
    part = re.search(r"create_project -in_memory -part (\S+)", script).group(1)
    with Path(log).open("w", encoding="utf-8") as file:

        def say(text: str) -> None:
            for out in (file, sys.stdout):
                out.write(text + "\n")
                out.flush()
            phase = text.removeprefix("codesign: phase ")
            if phase == behaviour.get("crash"):
                os.kill(os.getpid(), signal.SIGSEGV)
            if phase == behaviour.get("hang"):
                time.sleep(3600)

        recorded = {name: Path(path).read_text() for name, path in behaviour.get("reports", {}).items()}
        vivado = Vivado(Path.cwd(), part, reports={**REPORTS, **recorded}, say=say)
        code = vivado.run(script)
        if vivado.code is None:
            say(vivado.output[-1])
    for path in Path.cwd().glob(behaviour.get("forget", "nothing")):
        path.unlink()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
