"""Algorithms by name, and searches that end early; each continues as if it had never been interrupted."""

from __future__ import annotations

import html
import re
from types import SimpleNamespace

import pytest
from search_entry import analytic_search, result

from codesign import stopping
from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.errors import StorageError, StudyError
from codesign.listener import Listener
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Record
from codesign.report.page import page
from codesign.run import read_run
from codesign.show import run_json
from codesign.store import Store
from codesign.study import Study, parse_study
from codesign.summary import closing
from nas.algorithms import ALGORITHMS


def study(text: str) -> Study:
    return parse_study(f'[study]\nname = "small"\n{text}', "x")


class Messages(Listener):
    def __init__(self):
        self.texts = []

    def message(self, text):
        self.texts.append(text)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_continues_bit_for_bit(tmp_path, behave, algorithm):
    small = study(f'[search]\nalgorithm = "{algorithm}"\npopulation = 8\ngenerations = 3\n')
    whole = analytic_search(small, tmp_path / "whole")
    assert len(whole.records) == 24
    behave(disk_full=0.1)
    with pytest.raises(StorageError):
        analytic_search(small, tmp_path / "broken")
    assert len(read_run(tmp_path / "broken").records) < 24
    behave()
    assert result(analytic_search(small, tmp_path / "broken")) == result(whole)


def test_deepmaker_has_its_own_defaults_and_keeps_what_is_set():
    found = study('[search]\nalgorithm = "deepmaker"').search
    assert (found.population, found.generations, found.epochs, found.batch_size) == (30, 5, 16, 128)
    assert study('[search]\nalgorithm = "deepmaker"\npopulation = 16').search.population == 16
    assert parse_study(study('[search]\nalgorithm = "deepmaker"').to_toml(), "x").search == found


def test_a_reached_target_ends_the_search_and_it_stays_ended(tmp_path, behave):
    early = study("[search]\npopulation = 8\ngenerations = 30\n[stop]\ntarget = {error = 0.16, lut = 13000}")
    messages = Messages()
    run = analytic_search(early, tmp_path / "r", listener=messages)
    (message,) = messages.texts
    assert re.fullmatch(r"stopped after generation \d+: 64x.* reaches stop.target", message)
    good = [r for r in run.front if r.measurement.value("val_error") <= 0.16 and r.measurement.value("lut") <= 13000]
    assert good
    assert min(record.generation for record in good) == len(run.generations) - 1 < 29
    assert analytic_search(early, tmp_path / "r") == run
    assert message in closing(run)
    assert html.escape(message) in page(run)
    last = len(run.generations) - 1
    assert run_json(run)["stopped"] == {"generation": last, "reason": message.partition(": ")[2]}


def test_a_stalled_hypervolume_ends_the_search(tmp_path, behave):
    run = analytic_search(study("[search]\npopulation = 4\ngenerations = 100\n[stop]\nstalled = 3"), tmp_path / "r")
    volumes = [generation["hypervolume"] for generation in run.generations]
    assert 4 <= len(volumes) < 100
    assert volumes[-1] <= 1.001 * volumes[-4]
    assert all(volumes[place] > 1.001 * volumes[place - 3] for place in range(3, len(volumes) - 1))


def known(units, generation, status="ok", **figures):
    """A candidate of 0.1 error and 0.5 us, or as ``figures`` say."""
    figures = {"val_error": 0.1, "latency_cycles": 50, "lut": 1000, **figures}
    architecture = Architecture(64, 10, 1, (DenseLayer(units, "2"),), False, Hardware("parallel"))
    measured = Measurement({name: Figure(v, "", Provenance.CORRECTED, "x", "1") for name, v in figures.items()})
    return Record(architecture, status, "" if status == "ok" else "x", measurement=measured, generation=generation)


@pytest.fixture
def decide(tmp_path):
    """Decide about a generation, given the hypervolumes that were stored when each was closed."""

    def after(text, volumes, records):
        with Store.open(tmp_path) as store:
            if store.meta("reference") is None:
                store.set_meta("reference", [1.0, 1.0, 2000.0])
            for number, volume in enumerate(volumes):
                store.put_generation(number, {"number": number, "hypervolume": volume})
            return stopping.Stopping(study(text), store).after(len(volumes) - 1, records)

    return after


def test_what_boards_correct_is_no_stalled_search(decide):
    """The second generation found a better network, and boards showed meanwhile that all are slower than thought."""
    found = [known(8, 0), known(16, 1, val_error=0.05)]
    assert decide("[stop]\nstalled = 1", [0.9, 0.2375], found) is None


def test_what_boards_correct_is_no_progress(decide):
    found = [known(8, 0), known(16, 1, val_error=0.2)]
    assert decide("[stop]\nstalled = 1", [0.1, 0.225], found) == (
        "the hypervolume has not grown for 1 generation (stop.stalled)"
    )


def test_a_search_without_anything_within_its_budgets_has_not_stalled(decide):
    found = [known(8, 0, "infeasible"), known(16, 1, "infeasible")]
    assert decide("[stop]\nstalled = 1", [0.0, 0.0], found) is None


def test_a_search_killed_before_it_was_decided_is_decided_when_it_continues(decide):
    """The generation is stored, and nothing of whether it was the last."""
    assert decide("[stop]\ntarget = {error = 0.2}", [0.5], [known(8, 0)]) == "64x1b-8q2-10 parallel reaches stop.target"


def test_what_was_decided_once_stays_decided(decide):
    assert decide("[stop]\nhours = 1.0", [0.5], [known(8, 0)]) is None
    assert decide("[stop]\nhours = 1e-9", [0.5], [known(8, 0)]) is None


def test_hours_count_over_interruptions(tmp_path, behave, monkeypatch):
    """A clock that goes on by 20 minutes whenever it is read: twice before the first generation ends."""
    clock = [0.0]

    def tick():
        clock[0] += 1200.0
        return clock[0]

    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=tick))
    limited = study("[search]\npopulation = 4\ngenerations = 20\n[stop]\nhours = 2.0")
    monkeypatch.setattr(stopping.Stopping, "_stalled", lambda self, number, _: self.interrupt(number))
    monkeypatch.setattr(stopping.Stopping, "interrupt", interrupt_at(2), raising=False)
    with pytest.raises(StorageError):
        analytic_search(limited, tmp_path / "r")
    monkeypatch.setattr(stopping.Stopping, "interrupt", interrupt_at(99))
    messages = Messages()
    run = analytic_search(limited, tmp_path / "r", listener=messages)
    assert messages.texts[-1].endswith(": stop.hours = 2 are over")
    assert len(run.generations) == 6
    assert analytic_search(limited, tmp_path / "r") == run


def interrupt_at(generation):
    def act(_self, number):
        if number == generation:
            raise StorageError("interrupted")

    return act


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stop]\nhours = 0", "stop.hours = 0 is not a number above 0"),
        ("[stop]\nstalled = 0", "stop.stalled = 0 is not a whole number from 1 to 1000"),
        (
            "[stop]\ntarget = {eror = 1.0}",
            "stop.target = {eror = 1.0} is not a table of objectives and numbers above 0, "
            "such as {error = 0.05, lut = 3000}; 'eror': did you mean error?",
        ),
        (
            '[search]\nalgorithm = "x"',
            'search.algorithm = "x" is not one of "nsga2", "deepmaker", "annealing", "random"',
        ),
    ],
)
def test_bad_keys(text, message):
    with pytest.raises(StudyError, match=f"^x: {re.escape(message)}$"):
        parse_study(text, "x")
