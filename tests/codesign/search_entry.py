"""A real search process over the analytic evaluation: ``search_entry.py FOLDER STUDY_TOML WORKERS``.

Prints a line per stored candidate and measurement, then the result as JSON. With BOARDS in the environment the hosts
of the study are the test's boards.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from codesign.errors import CodesignError
from codesign.listener import Listener
from codesign.loop import search
from codesign.study import load_study


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Printer(Listener):
    def begun(self, total, known):
        say(f"begun {total} {known}")

    def candidate(self, record):
        say(f"stored {record.digest}")

    def measured(self, result, words):
        say(f"measured {result.digest}")

    def stage(self, worker, stage, words):
        if stage == "training":
            say("training")

    def message(self, text):
        say(f"message {text}")


def analytic_search(study, folder, **settings):
    return search(study, folder, **{"workers": 1, "evaluation": "analytic_evaluation", **settings})


def searcher(usual):
    """The same for tests of one study, which may take another: a function of (folder, study)."""
    return lambda folder, study=usual, **settings: analytic_search(study, folder, **settings)


def kill_midway(start_search, folder, study, rng, lines, seconds):
    """Four real searches, each killed after some of its first ``lines`` (least, most) and up to so many ``seconds``."""
    for _ in range(4):
        with start_search(folder, study) as process:
            for line, _ in zip(process.stdout, range(rng.randint(*lines)), strict=False):
                assert not line.startswith("result"), "the search ended before it could be killed"
            time.sleep(rng.uniform(0.0, seconds))
            os.killpg(process.pid, signal.SIGKILL)


def finished(start_search, folder, study):
    """The result of a real search that goes on to its end, as :func:`result`."""
    with start_search(folder, study) as process:
        lines = process.communicate()[0].splitlines()
    return json.loads(lines[-1].removeprefix("result "))


def plain(run):
    """:func:`result` as it comes out of another process."""
    return json.loads(json.dumps(result(run)))


def result(run):
    return {
        "front": [(record.digest, run.objectives(record)) for record in run.front],
        "finals": sorted(run.finals),
        "records": sorted((record.generation, record.index, record.digest, record.status) for record in run.records),
        "generations": list(run.generations),
        "reference": run.reference,
    }


if __name__ == "__main__":
    folder, path, workers = sys.argv[1:]
    study, tools = load_study(Path(path)), None
    if os.environ.get("BOARDS"):
        from board_bench import Bench, Board

        tools = Bench({host: Board(scale=0.8) for host in study.board.hosts}).tools()
    try:
        run = search(
            study, Path(folder), workers=int(workers), listener=Printer(), evaluation="analytic_evaluation",
            board_tools=tools,
        )  # fmt: skip
    except CodesignError as error:
        say(f"error {error}")
        sys.exit(error.exit_code)
    say("result " + json.dumps(result(run)))
