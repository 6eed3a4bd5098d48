"""A real dask cluster on this machine: a scheduler and workers, each a process that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path


class LocalCluster:
    """A context manager; ``address`` is the scheduler's."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.folder = folder
        self.workers: list[subprocess.Popen] = []
        self._stack = ExitStack()
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        for _ in range(300):
            if self.file.exists() and self.file.read_text():
                break
            time.sleep(0.1)
        self.address = json.loads(self.file.read_text())["address"]

    def add_workers(self, count: int, python_path: str = "") -> None:
        more = ["--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--local-directory", str(self.folder)]
        self.workers += [self._start("dask_worker", *more, python_path=python_path) for _ in range(count)]

    def wait_for_workers(self) -> None:
        """Until the scheduler knows all that were started."""
        log = self.folder / "dask_worker.log"
        while log.read_text().count("Registered to:") < len(self.workers):
            time.sleep(0.1)

    def kill(self, worker: subprocess.Popen, how: int = signal.SIGKILL) -> None:
        worker.send_signal(how)

    def _start(self, what: str, *arguments: str, python_path: str = "") -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.{what}", "--no-dashboard"]
        path = os.pathsep.join(filter(None, [python_path, os.environ["PYTHONPATH"]]))
        log = self._stack.enter_context((self.folder / f"{what}.log").open("a"))
        process = subprocess.Popen(
            [*command, "--scheduler-file", str(self.file), *arguments],
            env={**os.environ, "PYTHONPATH": path},
            stdout=log,
            stderr=log,
            cwd=self.folder,
        )
        self._stack.callback(_end, process)
        return process

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
