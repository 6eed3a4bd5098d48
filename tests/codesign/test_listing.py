"""Every candidate of a run on a line: what ``show --all`` prints, and that messages lead to it."""

from __future__ import annotations

import re
import shlex

import pytest
from search_entry import searcher

from codesign.accuracy import percent_error
from codesign.cli import main
from codesign.errors import CodesignError, RunError
from codesign.listing import candidate_lines
from codesign.store import Store
from codesign.study import parse_study

RUNGS = (
    '[study]\nname = "small"\n[search]\npopulation = 14\ngenerations = 3\n'
    "[rungs]\nepochs = [2]\nshare = 0.6\nsurrogate = true\n"
)


def listed(capsys, *arguments):
    assert main(["show", *arguments, "--all"]) == 0
    return capsys.readouterr().out.splitlines()


def line_of(lines, record):
    (found,) = [line for line in lines if line.startswith(record.digest[:8])]
    return found


def test_every_candidate_is_on_one_line_in_the_order_asked(searched, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = listed(capsys, "shown")
    assert lines == listed(capsys)
    assert [line[:8] for line in lines[1:-1]] == [record.digest[:8] for record in searched.records]
    pairs = list(zip(searched.records, lines[1:-1], strict=True))
    assert len({line.index(record.architecture.words()) for record, line in pairs}) == 1
    for record, line in pairs:
        assert re.match(rf"{record.digest[:8]} +{record.generation + 1}  {record.status} ", line)
        assert line.endswith("  on the front") == (record in searched.front)


def test_costs_and_reasons(searched, capsys):
    lines = listed(capsys)
    seen = set()
    for record in searched.records:
        line, final = line_of(lines, record), searched.finals.get(record.digest)
        if record.status == "failed":
            assert line.endswith("  yosys ended with exit code 1")
            assert "%" not in line
            continue
        figures = record.measurement.figures
        assert f"  {percent_error(figures['val_error'].value, 288)}  " in line
        assert f"  {figures['latency_cycles'].value / 100:.4g}  " in line
        assert f"  {figures['lut'].value:,.0f}  " in line
        if record.status == "infeasible":
            assert line.endswith(f"  {record.reason}")
        elif final is not None and final.measurement is None:
            assert line.endswith("  left the front: C simulation differs in 3 of 360 outputs")
        elif record not in searched.front:
            assert line.endswith("  dominated")
        seen.add(line.split("  ")[-1])
    assert {"dominated", "on the front", "left the front: C simulation differs in 3 of 360 outputs"} <= seen
    assert lines[-1] == "errors ± one standard error"


def test_a_reason_of_several_lines_stays_on_its_own(searched):
    from dataclasses import replace

    (first, *others) = searched.records
    run = replace(searched, records=(replace(first, status="failed", reason="yosys:\n  out of\nluck"), *others))
    assert line_of(list(candidate_lines(run)), first).endswith("  yosys: out of luck")


@pytest.fixture
def folder(tmp_path, behave, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "small"


def test_of_a_dropped_one_bounds_and_predictions_are_marked(folder):
    run = searcher(parse_study(RUNGS, "x"))(folder)
    lines = list(candidate_lines(run))
    signs = {0: "≥", 1: "≈", 2: "≈"}
    dropped = [record for record in run.records if record.status == "dropped"]
    assert {record.generation for record in dropped} == {0, 1, 2}
    for record in dropped:
        figures, line = record.measurement.figures, line_of(lines, record)
        assert f"  {percent_error(figures['short_error'].value, 288)}  " in line
        assert f"  {signs[record.generation]} {figures['lut'].value:,.0f}  " in line
        assert f"  {record.reason}" in line
    assert lines[-1] == (
        "errors ± one standard error; of one that was dropped the error is that of its last rung; "
        "≥ a bound by structure alone; ≈ predicted, no hardware was made"
    )


def commands(message):
    """The arguments of the command that a message ends with."""
    return shlex.split(message.partition("python -m codesign ")[2])


def test_the_messages_lead_to_it(folder, capsys):
    with pytest.raises(CodesignError) as caught:
        searcher(
            parse_study('[study]\nname = "small"\n[search]\npopulation = 6\ngenerations = 1\n[budget]\nlut = 3', "x")
        )(folder)
    assert main(commands(str(caught.value))) == 0
    shown = capsys.readouterr().out
    with Store.read(folder) as store:
        for record in store.records():
            assert f"  ≥ {record.measurement.value('lut'):,.0f}  " in line_of(shown.splitlines(), record)
            assert record.reason.startswith("structural lower bound: lut: ")
        with pytest.raises(RunError) as unknown:
            store.get("xyz")
    assert main(commands(str(unknown.value))) == 0
    assert capsys.readouterr().out == shown
    assert main(["show"]) == 0
    *_, last = (line for line in capsys.readouterr().out.splitlines() if line.startswith("next: "))
    assert main(commands(last)) == 0
    assert capsys.readouterr().out == shown


def test_it_is_that_or_json(searched, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["show", "--all", "--json"])
    assert caught.value.code == 2
    assert "--json: not allowed with argument --all" in capsys.readouterr().err
