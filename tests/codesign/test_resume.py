from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from search_entry import analytic_search

from boards.catalogue import load_target
from codesign.counting import number_of
from codesign.errors import RunError
from codesign.loop import search
from codesign.run import read_run
from codesign.store import FILE
from codesign.study import load_study
from hw.measure import timing
from hw.measure.delays import DelayModel

STUDY = '[study]\nname = "resumed"\n[search]\npopulation = 8\ngenerations = 3\n'


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def lines_until(process, wanted, count=1):
    """Lines of output until the ``count``-th that begins with ``wanted``."""
    found = []
    for line in process.stdout:
        found.append(line.rstrip("\n"))
        count -= line.startswith(wanted)
        if count == 0:
            break
    return found


def result_of(process):
    lines = process.communicate()[0].splitlines()
    assert process.returncode == 0, lines
    return json.loads(lines[-1].removeprefix("result "))


def test_ctrl_c_finishes_what_runs_and_the_next_start_continues(tmp_path, study, start_search, behave):
    whole = result_of(start_search(tmp_path / "whole", study))
    behave(sleep=0.5)
    folder = tmp_path / "run"
    with start_search(folder, study, workers=2) as process:
        lines = lines_until(process, "training", count=4)
        process.send_signal(signal.SIGINT)
        lines += process.communicate()[0].splitlines()
    started = sum(line == "training" for line in lines)
    stored = [line.split()[1] for line in lines if line.startswith("stored")]
    records = read_run(folder).records
    assert process.returncode == 130
    assert sorted(stored) == sorted(record.digest for record in records)
    assert sum("val_error" in record.measurement.figures for record in records) == started
    assert "message Ctrl-C: finishing 2 running candidates; once more stops at once" in lines
    assert lines[-1] == (
        f"error stopped by Ctrl-C; {len(records)} candidates stored in {folder}; the same command continues there"
    )
    behave()
    assert result_of(start_search(folder, study)) == whole


def test_a_second_ctrl_c_stops_at_once(tmp_path, study, start_search, behave):
    behave(hang=1.1)
    with start_search(tmp_path / "run", study) as process:
        lines_until(process, "training")
        process.send_signal(signal.SIGINT)
        lines_until(process, "message Ctrl-C")
        process.send_signal(signal.SIGINT)
        lines = process.communicate()[0].splitlines()
    assert process.returncode == 130
    assert lines[-1].startswith("error stopped by Ctrl-C; ")


def only_the_search(process):
    return [process.pid]


def with_its_workers(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    return [*map(int, children), process.pid]


@pytest.mark.parametrize("whom", [only_the_search, with_its_workers])
def test_sigterm_stops_at_once_and_the_next_start_continues(tmp_path, study, start_search, behave, whom):
    """What a batch system sends when the time of a job is over: some to the first process, some to all."""
    whole = result_of(start_search(tmp_path / "whole", study))
    behave(hang=1.1)
    folder = tmp_path / "run"
    with start_search(folder, study) as process:
        lines_until(process, "training")
        *others, own = whom(process)
        for pid in others:
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.1 if others else 0)  # that they are gone is seen before the signal
        os.kill(own, signal.SIGTERM)
        lines = process.communicate()[0].splitlines()
    assert process.returncode == 143
    done = len(read_run(folder).records)
    assert lines[-1] == (
        f"error stopped by SIGTERM; {number_of(done, 'candidate')} stored in {folder}; the same command continues there"
    )
    behave()
    assert result_of(start_search(folder, study)) == whole


def test_a_second_search_in_the_same_run_is_refused(tmp_path, study, start_search, behave):
    behave(hang=1.1)
    with start_search(tmp_path / "run", study) as process:
        lines_until(process, "training")
        with pytest.raises(RunError, match=rf"run is being searched by process {process.pid}; wait for it, or watch"):
            search(load_study(study), tmp_path / "run", workers=1, evaluation="analytic_evaluation")
        process.kill()


# of the part and speed grade of the study
NOW = timing.version(DelayModel.for_part(load_target("pynq-z1", None, 100.0).part))


def modelled_by(folder, version, *, without=""):
    """Let every stored Fmax be of that version of the timing model, and the run lack what ``without`` deletes."""
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        connection.executescript(without)
        named = "'$.measurement.fmax.tool', ?, '$.measurement.fmax.version', ?"
        found = "json_extract(json, '$.measurement.fmax') IS NOT NULL"
        connection.execute(f"UPDATE records SET json = json_set(json, {named}) WHERE {found}", (timing.TOOL, version))


LAST = """
DELETE FROM records WHERE json_extract(json, '$.generation') = 2;
DELETE FROM generations WHERE number = 2;
DELETE FROM finals;
"""


@pytest.mark.parametrize("other", ["1", timing.VERSION, f"{timing.VERSION}+0ther0"])
def test_what_another_timing_model_said_is_not_mixed_with_what_this_one_says(tmp_path, study, behave, other):
    folder, asked = tmp_path / "resumed", load_study(study)
    whole = analytic_search(asked, folder)
    modelled_by(folder, other)
    assert len(analytic_search(asked, folder).records) == len(whole.records), "nothing is left to measure"
    modelled_by(folder, other, without=LAST)
    before = read_run(folder).records
    message = (
        f"{folder} has Fmax by version {other} of the timing model, and this codesign has version {NOW}, whose "
        "figures are not comparable (behind the +: which fit of net delays); continue with the codesign that began it, "
        'before any recalibration since, or search anew with study.name = "resumed-2"'
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}$") as caught:
        analytic_search(asked, folder)
    assert caught.value.exit_code == 2
    assert read_run(folder).records == before
    modelled_by(folder, NOW)
    assert len(analytic_search(asked, folder).records) == len(whole.records)


def test_nor_is_what_was_trained_again(tmp_path, study, behave):
    study.write_text(f"{STUDY}[final]\nseeds = 2\n")
    folder, asked = tmp_path / "resumed", load_study(study)
    analytic_search(asked, folder)
    modelled_by(folder, "1", without="DELETE FROM retrainings")
    with pytest.raises(RunError, match="has Fmax by version 1 of the timing model"):
        analytic_search(asked, folder)
