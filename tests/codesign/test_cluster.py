"""Searches over a real local cluster; the evaluation is analytic, so that what is tested is the cluster."""

from __future__ import annotations

import random
import shutil
import signal
import socket
from pathlib import Path

import pytest
from local_cluster import LocalCluster
from search_entry import result

from codesign.artifacts import ArtifactStore
from codesign.cluster_worker import Parcel, pack, this_code, unpack
from codesign.errors import InputError, ToolError
from codesign.listener import Listener
from codesign.loop import search
from codesign.place import PACKAGES
from codesign.record import Final
from codesign.study import parse_study

STUDY = parse_study('[study]\nname = "many"\n[search]\npopulation = 10\ngenerations = 6\n', "x")
SMALL = parse_study('[study]\nname = "few"\n[search]\npopulation = 6\ngenerations = 1\n', "x")
AGAIN = parse_study('[study]\nname = "again"\n[search]\npopulation = 4\ngenerations = 1\n[final]\nseeds = 2\n', "x")
ROOT = Path(__file__).parents[2]


class Watch(Listener):
    """Notes messages; calls ``at`` with the number of each stored candidate."""

    def __init__(self, at=lambda _number: None):
        self.messages, self.count, self.at = [], 0, at

    def message(self, text):
        self.messages.append(text)

    def candidate(self, record):
        self.count += 1
        self.at(self.count)


@pytest.fixture
def cluster(tmp_path, behave):
    """A scheduler without workers yet."""
    with LocalCluster(tmp_path) as made:
        yield made


def run(study, folder, **settings):
    return search(study, folder, evaluation="analytic_evaluation", **settings)


def test_two_of_four_workers_killed_change_nothing(tmp_path, cluster, behave):
    whole = run(STUDY, tmp_path / "whole", workers=1)
    behave(sleep=0.05)
    cluster.add_workers(4)
    rng = random.Random(4)
    victims, moments = rng.sample(cluster.workers, 2), rng.sample(range(5, 45), 2)

    def kill(number):
        if number in moments:
            cluster.kill(victims.pop())

    watch = Watch(kill)
    found = run(STUDY, tmp_path / "cluster", cluster=cluster.address, listener=watch)
    assert victims == []
    assert result(found) == result(whole)
    lost = [text for text in watch.messages if "left the cluster" in text]
    assert all(" is tried once more: worker tcp://127.0.0.1:" in text for text in lost)
    assert sum(worker.poll() == -signal.SIGKILL for worker in cluster.workers) == 2


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("hang", "tried twice: exceeded the limit of 1 s per candidate in stage training"),
        ("die", "tried twice: the worker was killed by SIGKILL (most often: out of memory) in stage training"),
        ("garbage", "tried twice: the worker answered with Record(architecture=Architecture(inputs=64, "),
    ],
    ids=["hang", "die", "garbage"],
)
def test_what_hangs_dies_or_answers_nonsense_is_tried_twice_and_stored(
    tmp_path, cluster, behave, monkeypatch, what, reason
):
    monkeypatch.setattr("codesign.loop.candidate_seconds", lambda _study, _task: 1.0)
    behave(**{what: 0.3})  # workers have the environment that they are started in
    cluster.add_workers(2)
    found = run(SMALL, tmp_path / "cluster", cluster=cluster.address)
    failed = [record for record in found.records if record.status == "failed"]
    assert failed
    assert all(record.reason.startswith(reason) for record in failed)
    assert found.front
    assert result(found) == result(run(SMALL, tmp_path / "here", workers=2))


def test_a_worker_that_answers_no_more_is_given_up(tmp_path, cluster, behave, monkeypatch):
    monkeypatch.setattr("codesign.loop.candidate_seconds", lambda _study, _task: 5.0)
    monkeypatch.setattr("codesign.cluster._GRACE_SECONDS", 5.0)
    behave(sleep=0.1)
    cluster.add_workers(2)
    watch = Watch(lambda number: cluster.kill(cluster.workers[0], signal.SIGSTOP) if number == 2 else None)
    found = run(STUDY, tmp_path / "stopped", cluster=cluster.address, listener=watch)
    behave()
    assert result(found) == result(run(STUDY, tmp_path / "whole", workers=1))
    assert any("did not answer within" in text for text in watch.messages)


def test_a_worker_with_other_code_is_refused(tmp_path, cluster):
    other = tmp_path / "other"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, other / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", other)  # has the version of a checkout
    (other / "nas" / "further.py").write_text('"""A module more."""\n')
    cluster.add_workers(1, python_path=str(other))
    watch = Watch()
    with pytest.raises(ToolError, match="Install the same codesign on every machine") as caught:
        run(SMALL, tmp_path / "run", cluster=cluster.address, listener=watch)
    assert this_code().words() in str(caught.value)
    assert str(caught.value).count("(code ") == 2, "it names both"
    cluster.add_workers(1)
    cluster.wait_for_workers()  # with the refused one alone the search would end
    found = run(SMALL, tmp_path / "run", cluster=cluster.address, listener=watch)
    assert result(found) == result(run(SMALL, tmp_path / "whole", workers=1))
    assert sum(" is refused: it has codesign " in text for text in watch.messages) == 2


def test_nobody_at_the_address(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(ToolError, match=f"no dask scheduler answers at tcp://127.0.0.1:{port} within 5 s"):
            run(SMALL, tmp_path / "closed", cluster=f"tcp://127.0.0.1:{port}")
        silent.listen()
        with pytest.raises(ToolError, match="no dask scheduler answers at"):
            run(SMALL, tmp_path / "silent", cluster=f"tcp://127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["10.0.0.1:8786", "tcp://host", "http://host:80", ""])
def test_an_address_of_another_kind(tmp_path, address):
    with pytest.raises(InputError, match="is not the address of a dask scheduler; give e.g. tcp://10.0.0.1:8786"):
        run(SMALL, tmp_path / "run", cluster=address)


def test_who_is_trained_again_on_a_cluster_leaves_its_files_here(tmp_path, cluster, behave):
    behave()
    cluster.add_workers(2)
    found = run(AGAIN, tmp_path / "cluster", cluster=cluster.address)
    assert found.front
    assert result(found) == result(run(AGAIN, tmp_path / "here", workers=1))
    store = ArtifactStore(tmp_path / "cluster")
    assert all(store.get(record.artefacts["weights"]) in (b"1", b"2") for record in found.front)


def test_a_scheduler_that_ends_ends_the_search_and_nothing_is_lost(tmp_path, behave):
    behave(sleep=0.05)
    (tmp_path / "first").mkdir()
    with LocalCluster(tmp_path / "first") as first:
        first.add_workers(2)
        watch = Watch(lambda number: first.__exit__() if number == 7 else None)
        with pytest.raises(ToolError, match="does not answer any more"):
            run(STUDY, tmp_path / "run", cluster=first.address, listener=watch)
    behave()
    assert result(run(STUDY, tmp_path / "run", workers=2)) == result(run(STUDY, tmp_path / "whole", workers=1))


def test_artefacts_travel_with_what_names_them(tmp_path):
    here, there = ArtifactStore(tmp_path / "here"), ArtifactStore(tmp_path / "there")
    digest = here.put(b"a netlist")
    final = Final("4daf", None, "it differs", artefacts={"netlist.json.gz": digest})
    parcel = pack("job", [None, final], here)
    assert unpack(parcel, there) == "job"
    assert there.get(digest) == b"a netlist"
    with pytest.raises(ValueError, match="arrived damaged"):
        unpack(Parcel("job", {digest: b"a netlis"}), there)
