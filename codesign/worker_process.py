"""What runs inside a worker process; see :mod:`codesign.workers` for the other side."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from codesign.errors import CandidateError, CodesignError, StorageError

StageReport = Callable[[str], None]
"""Tells the coordinator which stage the job is in."""
Handler = Callable[[Any, StageReport], Any]
"""Does one job."""

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

# The path comes first, so that the worker finds the same packages as its coordinator.
BOOT = """
import sys
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
sys.path[:] = connection.recv()
from codesign.worker_process import main
main(connection, int(sys.argv[2]), sys.argv[3])
"""
# Parallelism is between candidates: one thread each makes sums independent of the number of cores.
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
SINGLE_THREADED = dict.fromkeys(_THREADS, "1")


def main(connection: Connection, lifeline: int, scratch: str) -> None:
    """Serve jobs until the coordinator closes the connection or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for descriptor in (connection.fileno(), lifeline):
        os.set_inheritable(descriptor, False)  # tools must not hold them open
    threading.Thread(target=_end_with_coordinator, args=(lifeline, scratch), daemon=True).start()
    try:
        handler: Handler = pickle.loads(connection.recv_bytes())()  # noqa: S301  # sent by our own coordinator
    except CodesignError as error:
        connection.send(("fatal", error))
        sys.exit(1)
    connection.send(("ready", None))
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(_answer(handler, job, lambda stage: connection.send(("stage", stage))))


def _answer(handler: Handler, job: Any, report: StageReport) -> tuple[str, Any]:
    try:
        return "result", handler(job, report)
    except CandidateError as error:
        return "failed", (str(error), error.log)
    except CodesignError as error:
        return "fatal", error
    except MemoryError:
        return "failed", ("out of memory", traceback.format_exc())
    except Exception as error:  # noqa: BLE001  # one candidate's surprise must not end the search; it is stored
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:  # the disk's fault decides about no candidate
            where = error.filename or "a temporary file"
            reason = os.strerror(error.errno or 0)  # libraries put more into the error's own text
            return "fatal", StorageError(f"cannot write {where}: {reason}; make room and start again")
        return "failed", (f"unexpected {type(error).__name__}: {error}", traceback.format_exc())


def _end_with_coordinator(lifeline: int, scratch: str) -> None:
    os.read(lifeline, 1)  # returns only when the other end is closed
    shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(os.getpgrp(), signal.SIGKILL)
