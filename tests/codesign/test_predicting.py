"""Searches with a surrogate: what it was off by is said, and they continue bit for bit."""

from __future__ import annotations

import math
import re

import pytest
from search_entry import result, searcher

from codesign.candidate_words import figure_details, number_words
from codesign.errors import StorageError
from codesign.judging import Judge
from codesign.listener import Listener
from codesign.measurement import Provenance
from codesign.report.page import page
from codesign.run import read_run
from codesign.show import run_json
from codesign.study import parse_study
from codesign.summary import closing
from nas.surrogate import FEWEST

TEXT = (
    '[study]\nname = "small"\n[search]\npopulation = 14\ngenerations = 4\n'
    "[rungs]\nepochs = [2]\nshare = 0.5\nsurrogate = true\n"
)
SMALL = parse_study(TEXT, "x")


run_search = searcher(SMALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_search(tmp_path_factory.mktemp("runs") / "small")


def test_it_is_fitted_to_earlier_generations_once_there_are_enough(run):
    measured = [sum("fmax" in r.measurement.figures and r.generation <= g and "val_error" in r.measurement.figures
                    for r in run.records) for g in range(4)]  # fmt: skip
    assert "surrogate" not in run.generations[0]
    for summary in run.generations[1:]:
        before = measured[summary["number"] - 1]
        assert ("surrogate" in summary) == (before >= FEWEST)
        if before >= FEWEST:
            assert summary["surrogate"]["fitted_to"] == before
            now = measured[summary["number"]] - before
            assert {len(errors) for errors in summary["surrogate"]["errors"].values()} == {now}
    assert "surrogate" in run.generations[-1]


def test_dropped_candidates_keep_what_was_predicted_as_an_estimate(run):
    dropped = [record for record in run.records if record.status == "dropped" and record.generation == 3]
    assert dropped
    for record in dropped:
        figure = record.measurement.figures["fmax"]
        assert figure.provenance is Provenance.ESTIMATED
        assert figure.tool.startswith("surrogate")
        assert figure.value >= figure.details["predicted"]
    assert not any(
        figure.provenance is Provenance.ESTIMATED for r in run.front for figure in r.measurement.figures.values()
    )


def test_dropped_candidates_say_what_was_predicted_and_what_they_seem_to_miss(tmp_path):
    run = run_search(tmp_path / "tight", parse_study(f"{TEXT}[budget]\nlatency_us = 0.5\n", "x"))
    judge = Judge(run.study.search.objectives, run.constraints, run.study.target.clock_mhz)
    missing = []
    for record in run.records:
        if record.status == "dropped" and "predicted" in record.measurement.figures["lut"].details:
            lut, missed = record.measurement.value("lut"), judge.missed(record.measurement)
            words = f", lut predicted at best {lut:,.0f} LUT; "
            words += f"seems to miss {', '.join(missed)}; place " if missed else "place "
            assert words in record.reason
            missing.append(bool(missed))
    assert set(missing) == {True, False}


def test_a_prediction_is_shown_with_how_sure_it_is(run):
    figures = [record.measurement.figures for record in run.records if record.status == "dropped"]
    shown = [(name, one[name]) for one in figures for name in ("lut", "fmax") if name in one]
    predicted = [(name, figure) for name, figure in shown if "predicted" in figure.details]
    assert predicted
    for name, figure in predicted:
        factor, value = math.exp(figure.details["deviation"]), number_words(figure.details["predicted"])
        assert figure_details(name, figure, "parallel") == (
            f"predicted: {value}, within a factor of {factor:.2f}, fitted to {figure.details['fitted_to']} candidates"
        )


def test_it_is_off_unless_asked_for(run, tmp_path):
    other = run_search(tmp_path / "off", parse_study(TEXT.replace("surrogate = true\n", ""), "x"))
    assert not any("surrogate" in summary for summary in other.generations)
    assert run_json(other)["surrogate"] == {}
    assert "surrogate" not in closing(other)
    assert other.records[:14] != ()
    first = [(record.digest, record.status) for record in run.records if record.generation == 0]
    assert first == [(record.digest, record.status) for record in other.records if record.generation == 0]


def test_its_errors_are_said_wherever_a_run_is_shown(run):
    found = run_json(run)["surrogate"]
    assert set(found) == {"lut", "ff", "fmax", "latency_cycles"}
    assert all(0 <= one["median"] <= one["p90"] for one in found.values())
    words = f"lut {100 * found['lut']['median']:.1f} % ({100 * found['lut']['p90']:.1f} %)"
    pattern = rf"surrogate, error on {found['lut']['candidates']} candidates it had not seen, .*{re.escape(words)}"
    assert re.search(pattern, closing(run))
    assert f'<td class="number">{100 * found["lut"]["p90"]:.1f} %</td>' in page(run)
    assert "what is predicted of latency, lut: first" in page(run)


@pytest.mark.parametrize("stored", [33, 38])
def test_a_search_with_it_continues_as_if_it_had_not_been_interrupted(run, tmp_path, stored):
    """Interrupted in the third generation: while it trains shortly, and while hardware is made."""

    class Stops(Listener):
        trials = candidates = 0

        def trial(self, trial, error):
            self.trials += 1
            self.stop()

        def candidate(self, record):
            self.candidates += 1
            self.stop()

        def stop(self):
            if self.trials == stored or self.candidates == stored:
                raise StorageError("interrupted")

    with pytest.raises(StorageError):
        run_search(tmp_path / "run", listener=Stops())
    broken = read_run(tmp_path / "run")
    assert len(broken.generations) == 2
    assert len(broken.trials) > 28 or len(broken.records) > 28
    again = run_search(tmp_path / "run")
    assert result(again) == result(run)
    assert [record.reason for record in again.records] == [record.reason for record in run.records]
