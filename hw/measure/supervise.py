"""Runs one tool so that nothing of it outlives the process that asked: ``supervise.py MEMORY_MIB TOOL ARG...``.

Started by :func:`hw.measure.tools.run_tool` as the leader of a new process group, with a pipe on stdin whose
other end only the asking process holds. When that end closes, however the asker died (SIGKILL too), the whole
group is killed. A ``preexec_fn`` with prctl was not taken: it runs Python between fork and exec in a process
that has threads, and PR_SET_PDEATHSIG reaches only the direct child, not ``make``'s compilers or ``yosys-abc``.

Standard library only and run by path with ``-I -S``, so that it starts in about 10 ms.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading


def kill_group_when_orphaned() -> None:
    """Block until the asker is gone, then take the group (and this process) down."""
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> int:
    """Run the tool; its exit code, or 128 + signal as a shell reports it."""
    limit = int(sys.argv[1]) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
    except OSError as error:
        sys.stderr.write(f"cannot run {sys.argv[2]}: {error}\n")
        return 127
    threading.Thread(target=kill_group_when_orphaned, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # the watching thread never ends by itself
