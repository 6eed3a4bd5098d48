"""Vivado in batch mode: run with a time limit, its phases told as they come."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hw.measure.optional_tools import remove_report, run_vendor

LOG = "vivado.log"
MEMORY_MIB = 128 * 1024
"""Address space, of which Vivado maps many times what it uses."""
_POLL_SECONDS = 0.5
_PHASE = re.compile(r"^codesign: phase (.+)$", re.MULTILINE)

Phase = Callable[[str], None]
"""Called with the name of each phase of a script as it begins."""


def run_script(
    vivado: Path, folder: Path, script: str, results: Sequence[str], *, timeout_s: float, phase: Phase
) -> str:
    """Run the Tcl ``script`` of ``folder`` in it; what it printed. ToolRunError where it fails or hangs.

    ``results`` are the files that it makes: those of an earlier run are removed first, so that they do not pass for
    this one's. The log of both kinds is in ``folder/vivado.log`` and ``console.log``.
    """
    for name in (LOG, *results):
        remove_report("Vivado", folder / name)
    arguments = ("-mode", "batch", "-notrace", "-nojournal", "-log", LOG, "-source", script)
    with _watched(folder / LOG, phase):
        return run_vendor(
            vivado, arguments, folder, name="Vivado", timeout_s=timeout_s, memory_mib=MEMORY_MIB, log="console.log"
        )


@contextmanager
def _watched(log: Path, phase: Phase) -> Iterator[None]:
    """Calls ``phase`` for each phase that appears in the log while the context is open."""
    ended = threading.Event()

    def watch() -> None:
        told = 0
        while True:
            last = ended.wait(_POLL_SECONDS)  # before reading, so that the last reading sees everything
            text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            found = _PHASE.findall(text[: text.rfind("\n") + 1])
            for name in found[told:]:
                phase(name)
            told = len(found)
            if last:
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
