"""What this machine is: processor, cores, memory, disk."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hw.measure.tools import processor

_MIB = 1 << 20


@dataclass(frozen=True)
class Machine:
    """Facts that decide how fast, and whether, a search can run; memory and disk in MiB."""

    system: str
    cpu: str
    cores: int
    memory_mib: int
    disk_free_mib: int
    temporary_free_mib: int


def this_machine() -> Machine:
    """Read the facts; nothing is measured."""
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cpu=processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_mib=_memory(),
        disk_free_mib=shutil.disk_usage(Path.cwd()).free // _MIB,
        temporary_free_mib=shutil.disk_usage(tempfile.gettempdir()).free // _MIB,
    )


def _memory() -> int:
    """What this process may use: the machine's memory, or less in a container with a limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or "max"
        limit = total
    return min(total, limit) // _MIB
