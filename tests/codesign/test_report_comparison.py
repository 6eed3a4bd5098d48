from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
from test_report import SECTIONS, parsed, reader

from codesign.cli import main
from codesign.errors import RunError
from codesign.report import plots
from codesign.report.comparison import compare
from codesign.report.page import comparison_page
from nas.indicators import hypervolume


def fewer(run, folder="runs/other"):
    """Another run: only the first two generations, with a tighter budget."""
    budget = run.study.budget.model_copy(update={"lut": "5%"})
    study = run.study.model_copy(update={"budget": budget})
    records = tuple(record for record in run.records if record.generation < 2)
    error, latency, lut = run.reference
    return dataclasses.replace(
        run, folder=Path(folder), study=study, records=records, reference=(error, latency * 2, lut / 2)
    )


def test_hypervolumes_are_from_one_reference_point_the_farther_of_both(searched):
    found = compare(searched, fewer(searched))
    error, latency, lut = searched.reference
    assert found.reference == (error, 2 * latency, lut)
    for run, volumes in zip(found.runs, found.volumes, strict=True):
        points = [run.objectives(record) for record in run.front]
        assert volumes[-1] == pytest.approx(hypervolume(points, found.reference))
    assert found.volumes[0][:2] == pytest.approx(found.volumes[1])  # the same candidates
    assert 0 < found.ratio < 1
    assert found.ratio == pytest.approx(found.volumes[1][-1] / found.volumes[0][-1])
    assert compare(searched, searched).ratio == 1


def test_the_page(searched):
    other = fewer(searched)
    found = compare(searched, other)
    html = comparison_page(found)
    names = set(parsed(html).ids)
    assert {"tradeoff", "progress", "studies", "front-1", "front-2", "data", "plot-lut", "plot-latency"} <= names
    assert not names & (set(SECTIONS) - {"tradeoff", "progress", "data"})
    assert parsed(html).loads == []
    text = reader(html)
    assert f"\n{found.ratio:.4f}\n" in text
    assert "\nhypervolume of other over that of shown\n" in text
    assert '\nbudget.lut: "10%" -> "5%"\n' in text
    assert "different samples" not in text
    for number, run in enumerate(found.runs, 1):
        begin = html.index(f'id="front-{number}"')
        front = reader(html[begin : html.index("</section>", begin)])
        assert all(f"\n{record.digest[:8]}\n" in front for record in run.front)


def test_other_validation_samples_are_told(searched):
    seed = searched.study.study.model_copy(update={"seed": 2})
    other = dataclasses.replace(searched, study=searched.study.model_copy(update={"study": seed}))
    assert "the runs counted their errors on different samples" in comparison_page(compare(searched, other))


def test_fronts_over_each_other_differ_in_shape_and_colour(searched):
    other = fewer(searched)
    fragment = plots.overlay(compare(searched, other), plots.LUT)
    start = fragment.index("[", fragment.index("Plotly.newPlot("))
    found = {trace["name"]: trace for trace in json.JSONDecoder().raw_decode(fragment[start:])[0]}
    assert list(found) == ["shown: others", "shown: front", "other: others", "other: front"]
    for name, run in (("shown", searched), ("other", other)):
        assert sorted(found[f"{name}: front"]["x"]) == sorted(record.measurement.value("lut") for record in run.front)
    markers = [found[f"{name}: front"]["marker"] for name in ("shown", "other")]
    assert len({marker["symbol"] for marker in markers}) == len({marker["color"] for marker in markers}) == 2
    assert '"text":"budget of shown 5,320"' in fragment
    assert '"text":"budget of other 2,660"' in fragment


def test_the_verb_with_two_runs(searched, tmp_path, monkeypatch, capsys):
    for name in ("shown", "again"):
        shutil.copytree("runs/shown", tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path)
    assert main(["report", "shown", "again"]) == 0
    assert capsys.readouterr().out == "runs/shown/report-against-again.html\n"
    text = Path("runs/shown/report-against-again.html").read_text(encoding="utf-8")
    assert re.search(r"<b>1\.0000</b><span>hypervolume of again over that of shown</span>", text)


def changed(run, what):
    task, target, study = run.task, run.task.target, run.study
    if what == "objectives":
        search = study.search.model_copy(update={"objectives": ("error", "lut")})
        return dataclasses.replace(run, study=study.model_copy(update={"search": search}))
    if what == "data":
        return dataclasses.replace(run, task=dataclasses.replace(task, data_digest="0123456789abcdef"))
    if what == "part":
        target = dataclasses.replace(target, part=dataclasses.replace(target.part, name="xc7a35t"))
    else:
        target = dataclasses.replace(target, clock_mhz=150.0)
    return dataclasses.replace(run, task=dataclasses.replace(task, target=target))


@pytest.mark.parametrize(
    ("what", "difference"),
    [
        ("objectives", "objectives: error, latency, lut against error, lut"),
        ("data", "data: digits (SHA-256 ) against digits (SHA-256 0123456789ab)"),
        ("part", "part: xc7z020clg400-1 against xc7a35t"),
        ("clock", "clock: 100 MHz against 150 MHz"),
    ],
)
def test_what_means_nothing_is_refused(searched, what, difference):
    other = dataclasses.replace(changed(searched, what), folder=Path("runs/other"))
    with pytest.raises(RunError) as caught:
        compare(searched, other)
    assert str(caught.value) == (
        f"runs/shown and runs/other cannot be compared:\n  {difference}\n"
        "give two runs of the same data, target and objectives"
    )


def test_errors_under_other_faults_are_not_compared(searched):
    def under(rate, *objectives):
        chosen = searched.study.search.model_copy(update={"objectives": objectives})
        faults = searched.study.robustness.model_copy(update={"weight_flips": rate})
        study = searched.study.model_copy(update={"search": chosen, "robustness": faults})
        return dataclasses.replace(searched, study=study)

    with pytest.raises(RunError, match=r"\n  faults: weight_flips 0\.01 against weight_flips 0\.1\n"):
        compare(under(0.01, "error", "weight_flips"), under(0.1, "error", "weight_flips"))
    assert compare(under(0.01, "error", "latency", "lut"), under(0.1, "error", "latency", "lut")).ratio == 1.0


def test_a_run_without_a_measured_candidate_is_refused(searched):
    nothing = dataclasses.replace(searched, folder=Path("runs/other"), reference=None)
    with pytest.raises(
        RunError, match="runs/other has no measured candidate to compare; see why: python -m codesign show other"
    ):
        compare(searched, nothing)
