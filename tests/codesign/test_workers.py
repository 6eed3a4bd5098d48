from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import worker_handlers
from processes import alive, wait_until

from codesign.errors import CodesignError, StorageError, ToolError
from codesign.workers import WorkerPool, default_workers


def run(pool, jobs):
    """Outcomes by key of all ``jobs``."""
    waiting, found = dict(jobs), {}
    while len(found) < len(jobs):
        while waiting and pool.idle():
            key = next(iter(waiting))
            pool.submit(key, waiting.pop(key))
        found.update({outcome.key: outcome for outcome in pool.wait(0.2)})
    return found


def parts(path):
    worker, tool, scratch = path.read_text().split()
    assert Path(scratch).parent.name.startswith("codesign-")
    return int(worker), int(tool), scratch


def test_jobs_give_their_results_whoever_does_them():
    with WorkerPool(2, worker_handlers.make, limit_seconds=60) as pool:
        found = run(pool, {str(n): ("double", n) for n in range(10)})
    assert {key: outcome.result for key, outcome in found.items()} == {str(n): 2 * n for n in range(10)}


@pytest.mark.parametrize(
    ("job", "reason", "log"),
    [
        ("die", "the worker was killed by SIGKILL (most often: out of memory) in stage doing die", ""),
        ("crash", "the worker was killed by SIGSEGV in stage doing crash", ""),
        ("exit", "the worker ended with exit code 3 in stage doing exit", "out of ideas\n"),
        ("candidate error", "yosys ended with exit code 1", "ERROR: x"),
        ("memory", "out of memory", "MemoryError"),
        ("bug", "unexpected ZeroDivisionError: division by zero", "Traceback"),
        ("unpicklable", "the worker ended with exit code 1 in stage doing unpicklable", "Can't pickle"),
    ],
)
def test_a_job_that_fails_says_why_and_the_next_is_done(job, reason, log):
    with WorkerPool(1, worker_handlers.make, limit_seconds=60) as pool:
        found = run(pool, {"bad": (job,), "good": ("double", 4)})
    assert found["bad"].result is None
    assert found["bad"].retry == reason.startswith("the worker ")
    assert found["bad"].reason == reason
    assert log in found["bad"].log
    assert found["good"].result == 8


def test_a_job_that_hangs_is_ended_with_its_tools(tmp_path):
    path = tmp_path / "pids"
    with WorkerPool(1, worker_handlers.make, limit_seconds=2) as pool:
        found = run(pool, {"bad": ("tool", str(path)), "good": ("double", 4)})
        worker, tool, scratch = parts(path)
        wait_until(lambda: not alive(worker) and not alive(tool) and not Path(scratch).exists())
    assert found["bad"].reason == "exceeded the limit of 2 s per candidate in stage doing tool"
    assert found["good"].result == 8


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_and_their_tools_end_with_a_killed_coordinator(tmp_path, how):
    path = tmp_path / "pids"
    script = (
        "import sys, worker_handlers; from codesign.workers import WorkerPool\n"
        "pool = WorkerPool(1, worker_handlers.make, limit_seconds=600)\n"
        "while not pool.idle(): pool.wait(1.0)\n"
        "pool.submit('x', ('tool', sys.argv[1]))\n"
        "while True: pool.wait(1.0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", script, path], env=environment) as coordinator:
        wait_until(path.exists)
        worker, tool, scratch = parts(path)
        assert alive(worker)
        assert alive(tool)
        coordinator.send_signal(how)
    wait_until(lambda: not alive(worker) and not alive(tool) and not Path(scratch).exists())


def test_workers_end_with_the_pool():
    with WorkerPool(2, worker_handlers.make, limit_seconds=60) as pool:
        found = run(pool, {str(n): ("pid",) for n in range(6)})
    assert not any(alive(outcome.result) for outcome in found.values())


def test_workers_ignore_ctrl_c():
    with WorkerPool(1, worker_handlers.make, limit_seconds=60) as pool:
        assert run(pool, {"x": ("interrupt",)})["x"].result == "still here"


def test_workers_have_one_thread_for_numeric_libraries(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    with WorkerPool(1, worker_handlers.make, limit_seconds=60) as pool:
        found = run(pool, {"x": ("environment",)})["x"].result
    assert found["OMP_NUM_THREADS"] == found["TF_NUM_INTRAOP_THREADS"] == "1"


def test_what_stops_the_search_is_raised():
    with (
        WorkerPool(1, worker_handlers.make, limit_seconds=60) as pool,
        pytest.raises(StorageError, match=r"^no space$"),
    ):
        run(pool, {"x": ("disk",)})
    with (
        WorkerPool(1, worker_handlers.make_broken, limit_seconds=60) as pool,
        pytest.raises(ToolError, match=r"^verilator is missing$"),
    ):
        run(pool, {"x": ("double", 1)})


def test_a_disk_that_refuses_stops_the_search():
    expected = r"^cannot write /run/model\.h5: No space left on device; make room and start again$"
    with WorkerPool(1, worker_handlers.make, limit_seconds=60) as pool, pytest.raises(StorageError, match=expected):
        run(pool, {"x": ("disk full",)})


def test_a_worker_that_someone_ended_decides_nothing_and_ends_the_search():
    expected = (
        r"^the worker was killed by SIGTERM in stage doing terminate: is the machine shut down\? What ended before is "
        r"stored; run the same command again to continue$"
    )
    with WorkerPool(1, worker_handlers.make, limit_seconds=60) as pool, pytest.raises(CodesignError, match=expected):
        run(pool, {"x": ("terminate",)})


def test_workers_that_cannot_start_give_up():
    message = (
        r"^worker processes cannot start: the worker ended with exit code 7 in stage starting; "
        r"try python -m codesign doctor\n"
        r"no memory for libraries$"
    )
    with WorkerPool(2, worker_handlers.make_dying, limit_seconds=60) as pool, pytest.raises(ToolError, match=message):
        run(pool, {"x": ("double", 1)})


def test_the_log_is_of_the_failed_job_alone():
    with WorkerPool(1, worker_handlers.make, limit_seconds=60) as pool:
        found = run(pool, {"first": ("talk", "long ago"), "second": ("exit",)})
    assert found["second"].log == "out of ideas\n"


def test_stages_are_reported():
    seen = []
    with WorkerPool(
        1, worker_handlers.make, limit_seconds=60, on_stage=lambda worker, stage, key: seen.append((worker, stage, key))
    ) as pool:
        run(pool, {"x": ("double", 1)})
    assert seen == [
        (0, "starting", None), (0, "idle", None), (0, "preparing", "x"), (0, "doing double", "x"), (0, "idle", None),
    ]  # fmt: skip


def test_default_is_every_core_this_process_may_use():
    assert default_workers() == len(os.sched_getaffinity(0))


def test_a_worker_that_never_gets_ready_gives_up(monkeypatch):
    monkeypatch.setattr("codesign.workers.START_SECONDS", 0.3)
    with (
        WorkerPool(1, worker_handlers.make_sleeping, limit_seconds=60) as pool,
        pytest.raises(
            ToolError,
            match=r"^a worker process did not start within 0\.3 s; if the machine is busy, wait or use fewer workers, "
            r"otherwise try python -m codesign doctor$",
        ),
    ):
        run(pool, {"x": ("double", 1)})
