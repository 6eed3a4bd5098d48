"""Which candidate is built: by what it is best at, or by its id."""

from __future__ import annotations

import dataclasses
import re

import pytest

from codesign.errors import RunError
from codesign.picking import _knee, pick


def test_the_knee_is_the_nearest_to_the_best_corner():
    assert _knee([(0.0, 100.0), (0.1, 10.0), (1.0, 0.0)]) == 1
    assert _knee([(0.0, 1e9), (0.6, 6e8), (1.0, 0.0)]) == 1  # units do not matter
    assert _knee([(5.0, 1.0, 7.0), (5.0, 2.0, 7.0)]) == 0  # nor what is the same everywhere
    assert _knee([(0.0, 1.0), (1.0, 0.0)]) == 0  # of equals the first
    assert _knee([(3.0, 3.0)]) == 0


def test_picks_are_members_of_the_front(searched):
    front = searched.front
    assert len(front) > 3
    errors = [record.measurement.value("val_error") for record in front]
    cycles = [record.measurement.value("latency_cycles") for record in front]
    assert pick(searched, "lowest-error").measurement.value("val_error") == min(errors)
    assert pick(searched, "lowest-latency").measurement.value("latency_cycles") == min(cycles)
    assert pick(searched, "knee") in front
    assert pick(searched, "knee") not in (pick(searched, "lowest-error"), pick(searched, "lowest-latency"))


def test_a_candidate_by_its_id(searched):
    chosen = searched.records[3]
    built = dataclasses.replace(chosen, artefacts={"rtl.json": "0" * 64})
    run = dataclasses.replace(searched, records=(*searched.records[:3], built, *searched.records[4:]))
    assert pick(run, chosen.digest[:10].upper()) == built


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("best", "no candidate 'best' in runs/shown; --pick takes knee, lowest-error, lowest-latency or the digits of"),
        ("", "no candidate '' in runs/shown; --pick takes"),
    ],
)
def test_what_is_no_candidate(searched, which, message):
    with pytest.raises(RunError, match=f"^{re.escape(message)}"):
        pick(searched, which)


def test_candidates_that_cannot_be_built(searched):
    failed = next(record for record in searched.records if record.status == "failed")
    with pytest.raises(
        RunError, match=rf"^candidate {failed.digest[:8]} has no RTL to build: {re.escape(failed.reason)}$"
    ):
        pick(searched, failed.digest)
    first = {}
    for record in searched.records:
        first.setdefault(record.digest[0], []).append(record)
    digit, several = next((digit, found) for digit, found in first.items() if len(found) > 1)
    with pytest.raises(RunError, match=rf"^{len(several)} candidates begin with '{digit}' in runs/shown; --pick takes"):
        pick(searched, digit)


def test_an_empty_front(searched):
    empty = dataclasses.replace(searched, records=())
    with pytest.raises(RunError, match=r"^runs/shown has no front to pick from; see why with: .* show shown$"):
        pick(empty, "knee")
