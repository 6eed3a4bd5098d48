from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codesign import at_work, candidate_words, show
from codesign.cli import main
from codesign.measurement import Figure, Provenance
from codesign.record import Final
from codesign.run import read_run


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def printed(capsys, *arguments):
    assert main(["show", *arguments]) == 0
    return capsys.readouterr().out


def first(run, status):
    return next(record for record in run.records if record.status == status)


def test_overview(searched, capsys):
    out = printed(capsys)
    for record in searched.front:
        assert record.architecture.words() in out
    counts = searched.counts
    assert f"{len(searched.records)} candidates: {counts['ok']} within budget, {counts['infeasible']} over" in out
    assert "hypervolume" in out
    assert "is searching" not in out
    example = first(searched, "failed").digest[:8]
    assert (
        f"failed, {counts['failed']}: yosys ended with exit code 1 (python -m codesign show shown {example})\n" in out
    )


def test_a_run_by_name_and_by_folder(searched, capsys):
    assert printed(capsys, "shown") == printed(capsys, "runs/shown") == printed(capsys)


def test_one_candidate_of_the_front(searched, capsys):
    record = searched.front[0]
    out = printed(capsys, "shown", record.digest[:10])
    assert out.startswith(f"{record.architecture.words()}   {record.digest}\n")
    assert "status:     ok; on the front\n" in out
    for name, figure in record.measurement.figures.items():
        line = next(line for line in out.splitlines() if f" {name} " in line)
        assert figure.provenance.value in line
        assert "analytic 1" in line
    assert "test_error" in out
    assert "stages: training 0.0 s, synthesis 0.0 s" in out


def test_class_names(searched, capsys):
    assert "\n10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n" in printed(capsys)
    assert "\noutputs:    10 classes: 0, 1, 2" in printed(capsys, "shown", searched.front[0].digest)


def test_details_of_fmax_and_of_errors_are_those_of_the_summary():
    details = {"calibrated": True, "within_fitted_range": True, "error": {"median": 0.064, "size": [663, 6128]}}
    fmax = Figure(125.0, "MHz", Provenance.MODELLED, "codesign-timing", "2", details)
    assert candidate_words.figure_details("fmax", fmax, "parallel") == "period: 8.00 ns, ± 6.4 %"
    assert candidate_words.figure_details("fmax", fmax, "folded") == "period: 8.00 ns, outside the fitted range"
    error = Figure(0.05, "", Provenance.TRAINED, "QKeras", "0.9.0", {"samples": 288})
    assert candidate_words.figure_details("val_error", error, "parallel") == "samples: 288, 5.0 ± 1.3 %"


def test_artefacts_of_the_final_measurement_are_listed(searched):
    record = dataclasses.replace(searched.front[0], artefacts={"graph.json": "a" * 64})
    final = Final(record.digest, reason="differs", artefacts={"files.tar.gz": "b" * 64})
    run = dataclasses.replace(searched, finals={record.digest: final})
    paths = show.candidate_json(run, record)["artefacts"]
    assert {name: Path(path).name for name, path in paths.items()} == {"graph.json": "a" * 64, "files.tar.gz": "b" * 64}


def test_one_that_failed_shows_its_log(searched, capsys):
    out = printed(capsys, "shown", first(searched, "failed").digest)
    assert "status:     failed: yosys ended with exit code 1\n" in out
    assert out.endswith("\nlog (its end):\nERROR: out of luck\n")


def test_one_that_left_the_front_says_why(searched, capsys):
    digest = next(digest for digest, final in searched.finals.items() if final.measurement is None)
    out = printed(capsys, "shown", digest)
    assert "left the front: C simulation differs in 3 of 360 outputs\n" in out
    assert out.endswith("\nlog of the final measurement (its end):\nfirst: 4 against 9\n")


def test_one_over_budget(searched, capsys):
    record = first(searched, "infeasible")
    assert f"status:     infeasible: {record.reason}\n" in printed(capsys, "shown", record.digest)


def test_run_as_json(searched, capsys):
    values = json.loads(printed(capsys, "--json"))
    assert set(values) == {
        "run", "searching_process", "study", "task", "objectives", "constraints", "reference", "counts", "binding",
        "generations", "stopped", "front", "surrogate", "retrained", "boards", "corrections", "instruments",
        "candidates",
    }  # fmt: skip
    assert values["front"] == [record.digest for record in searched.front]
    assert values["counts"] == searched.counts
    assert (values["boards"], values["corrections"]) == ([], {})
    assert set(values["candidates"][0]) == {
        "id", "network", "generation", "status", "reason", "on_front", "values", "provenances",
        "figures", "corrected",
    }  # fmt: skip
    for line in values["candidates"]:
        assert {name: figure["value"] for name, figure in line["figures"].items()} == line["values"]
        for figure in line["figures"].values():
            assert set(figure) == {"value", "unit", "provenance", "tool", "version", "date"}
            assert figure["tool"]
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", figure["date"])
    assert [c["id"] for c in values["candidates"] if c["on_front"]] == [
        record.digest for record in searched.records if record in searched.front
    ]
    assert all(values["study"][section] for section in ("study", "data", "target", "budget", "search", "space"))


def test_candidate_as_json(searched, capsys):
    record = searched.front[0]
    values = json.loads(printed(capsys, "shown", record.digest, "--json"))
    assert set(values) == {
        "run", "id", "network", "architecture", "generation", "status", "reason", "log", "on_front", "design",
        "figures", "artefacts", "retrained", "boards", "readings", "latencies", "seconds", "peak_memory_mib",
    }  # fmt: skip
    assert values["id"] == record.digest
    assert values["figures"]["lut"] == record.measurement.figures["lut"].to_json()
    assert values["figures"]["test_error"]["value"] == 0.1


def test_follow_of_an_ended_run_shows_everything_once(searched, capsys):
    out = printed(capsys, "--follow")
    lines = [line for line in out.splitlines() if line.startswith("[")]
    assert len(lines) == len(searched.records)
    assert lines[-1].startswith(f"[{len(searched.records)}] {searched.records[-1].digest[:8]}  ")
    assert f"Pareto front of shown: {len(searched.front)} networks" in out


def test_follow_watches_a_search_to_its_end(start_search, behave, tmp_path, monkeypatch):
    behave(sleep=0.1)
    study = tmp_path / "s.toml"
    study.write_text('[study]\nname = "watched"\n[search]\npopulation = 6\ngenerations = 2\n')
    folder = tmp_path / "runs" / "watched"
    process = start_search(folder, study, workers=1)
    process.stdout.readline()  # begun
    monkeypatch.chdir(tmp_path)
    watching = subprocess.Popen(
        [sys.executable, "-c", "import sys; from codesign.cli import main; sys.exit(main(['show', '--follow']))"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert show.searching_process(folder) == process.pid
    process.communicate(timeout=120)
    out, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0
    records = read_run(folder).records
    assert {line.split()[1] for line in out.splitlines() if line.startswith("[")} == {
        record.digest[:8] for record in records
    }
    assert f"Pareto front of watched: {len(read_run(folder).front)} networks" in out
    assert "1 worker" in out.splitlines()
    assert not (folder / at_work.FILE).exists(), "nobody works any more"


def test_searching_process_is_found_without_touching_the_lock(searched):
    folder = Path("runs/shown")
    assert show.searching_process(folder) is None
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert show.searching_process(folder) == os.getpid()
    for _ in range(100):  # the kernel drops the lock when the last copy of the descriptor is closed
        if show.searching_process(folder) is None:
            break
        time.sleep(0.01)
    assert show.searching_process(folder) is None
    assert show.searching_process(Path("runs/none")) is None
