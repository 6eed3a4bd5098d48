"""Handlers for the workers' tests, importable by name in a worker process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from codesign.errors import StorageError, ToolError, ToolRunError


def _talk(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def make():
    return handle


def make_broken():
    raise ToolError("verilator is missing")


def make_dying():
    _talk("no memory for libraries")
    os._exit(7)


def make_sleeping():
    time.sleep(3600)


def handle(job, report):
    name, *arguments = job
    report(f"doing {name}")
    return JOBS[name](*arguments)


def _environment():
    return {name: value for name, value in os.environ.items() if name.endswith("_THREADS")}


def _interrupt_self():
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


def _tool(path):
    """Start a tool that outlives everything, write both process ids, and hang."""
    tool = subprocess.Popen(["sleep", "3600"])
    beside = Path(path + ".new")
    beside.write_text(f"{os.getpid()} {tool.pid} {tempfile.mkdtemp()}")
    beside.rename(path)
    time.sleep(3600)


def _raise(error):
    raise error


JOBS = {
    "double": lambda value: 2 * value,
    "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda: (_talk("out of ideas"), os._exit(3)),
    "hang": partial(time.sleep, 3600),
    "environment": _environment,
    "interrupt": _interrupt_self,
    "tool": _tool,
    "candidate error": lambda: _raise(ToolRunError("yosys ended with exit code 1", log="ERROR: x")),
    "memory": lambda: _raise(MemoryError()),
    "bug": lambda: _raise(ZeroDivisionError("division by zero")),
    "disk": lambda: _raise(StorageError("no space")),
    "disk full": lambda: _raise(OSError(errno.ENOSPC, "errno = 28, in a library's words", "/run/model.h5")),
    "talk": _talk,
    "pid": os.getpid,
    "unpicklable": lambda: lambda: 0,
}
