"""A real search process over the analytic evaluation: ``search_entry.py FOLDER STUDY_TOML WORKERS``.

Prints a line per stored candidate and measurement, then the result as JSON. With BOARDS in the environment the hosts
of the study are the test's boards.
"""

from __future__ import annotations

import json
import os
import sys
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
