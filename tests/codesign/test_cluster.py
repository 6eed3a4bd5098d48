"""Searches over a real local cluster; the evaluation is analytic, so that what is tested is the cluster."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

import dask
import pytest
from distributed import Client
from local_cluster import LocalCluster
from processes import wait_until
from search_entry import result

from codesign.artifacts import ArtifactStore
from codesign.cluster import _CONNECT_SECONDS, ClusterPool
from codesign.cluster_worker import Parcel, fingerprint, pack, unpack
from codesign.errors import InputError, ToolError
from codesign.listener import Listener
from codesign.loop import search
from codesign.place import PACKAGES
from codesign.record import Final
from codesign.run import read_run
from codesign.study import parse_study
from codesign.workers import Outcome

STUDY = parse_study('[study]\nname = "many"\n[search]\npopulation = 10\ngenerations = 6\n', "x")
SMALL = parse_study('[study]\nname = "few"\n[search]\npopulation = 6\ngenerations = 1\n', "x")
AGAIN = parse_study('[study]\nname = "again"\n[search]\npopulation = 4\ngenerations = 1\n[final]\nseeds = 2\n', "x")
CHOSEN = parse_study(
    '[study]\nname = "chosen"\n[search]\npopulation = 10\ngenerations = 3\n'
    "[rungs]\nepochs = [20]\nshare = 0.4\nsurrogate = true\n",
    "x",
)
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
    behave(sleep=0.1)
    cluster.add_workers(4)
    rng = random.Random(4)
    moments, killed = sorted(rng.sample(range(5, 45), 2)), []
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(4)
        processes = client.run(os.getpid)

        def kill_one_that_works(number):
            """Any of them, stopped first, so that its candidate cannot end before it does."""
            if len(killed) == 2 or number < moments[len(killed)]:
                return
            for address in rng.sample(sorted(processes), 4):
                if address in killed or not client.processing()[address]:
                    continue
                os.kill(processes[address], signal.SIGSTOP)
                if client.processing()[address]:
                    os.kill(processes[address], signal.SIGKILL)
                    killed.append(address)
                    return
                os.kill(processes[address], signal.SIGCONT)

        watch = Watch(kill_one_that_works)
        found = run(STUDY, tmp_path / "cluster", cluster=cluster.address, listener=watch)
    assert result(found) == result(whole)
    lost = [text for text in watch.messages if " is tried once more: " in text]
    assert len(lost) == len(killed) == 2
    assert all(any(f"worker {address} left the cluster in stage " in text for text in lost) for address in killed)


def test_an_answer_that_is_late_holds_up_no_other(tmp_path, cluster, behave, monkeypatch):
    fetch, another, waited = ClusterPool._fetch, threading.Event(), []

    def fetch_the_first_last(pool, address, future):
        if waited:
            another.set()
        else:
            waited.append("")
            waited[:] = [another.wait(20.0)]
        fetch(pool, address, future)

    monkeypatch.setattr(ClusterPool, "_fetch", fetch_the_first_last)
    cluster.add_workers(2)
    assert run(SMALL, tmp_path / "run", cluster=cluster.address).front
    assert waited == [True]


def test_a_machine_on_which_nothing_can_be_evaluated_is_refused_and_costs_no_candidate(tmp_path, cluster, behave):
    behave(disk_full=1.1)
    cluster.add_workers(1)
    behave()
    cluster.add_workers(1)
    cluster.wait_for_workers()
    watch = Watch()
    found = run(SMALL, tmp_path / "cluster", cluster=cluster.address, listener=watch)
    assert result(found) == result(run(SMALL, tmp_path / "whole", workers=1))
    (refused,) = [text for text in watch.messages if " is refused: " in text]
    assert "No space left on device" in refused


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ({"disk_full": 1.1}, "No space left on device.* Mend that and"),
        (
            {"data": "0" * 64},
            "the data here have the SHA-256 000000000000, those of the search 57ea1b51e57d; bring the",
        ),
        ({"sleep": 0.1}, "it did not answer in time. See what keeps"),
    ],
    ids=["disk", "data", "stopped"],
)
def test_a_search_without_a_worker_that_can_go_on_ends(tmp_path, cluster, behave, monkeypatch, there, message):
    monkeypatch.setattr("codesign.loop.candidate_seconds", lambda _study, _task: 5.0)
    monkeypatch.setattr("codesign.cluster._GRACE_SECONDS", 5.0)
    behave(**there)
    cluster.add_workers(2)
    behave(data="57ea1b51e57d" if "data" in there else "")
    stop = Watch(lambda _number: [cluster.kill(worker, signal.SIGSTOP) for worker in cluster.workers])
    with pytest.raises(ToolError, match=f"^all workers of tcp://.* are refused; .*{message}"):
        run(SMALL, tmp_path / "run", cluster=cluster.address, listener=stop)
    assert not any(record.status == "failed" for record in read_run(tmp_path / "run").records)


def test_a_search_whose_last_worker_leaves_waits_a_while_and_loses_nothing(tmp_path, cluster, behave, monkeypatch):
    behave(sleep=0.05)
    cluster.add_workers(1)

    def leave(number):
        if number == 7:
            monkeypatch.setattr("codesign.cluster._WITHOUT_WORKERS_SECONDS", 0.6)
            cluster.kill(cluster.workers[0])

    watch = Watch(leave)
    with pytest.raises(ToolError, match=f"^{cluster.address} had no workers for 0.01 minutes; what ended before is"):
        run(STUDY, tmp_path / "run", cluster=cluster.address, listener=watch)
    waiting = f"{cluster.address} answers, but has no workers; waiting for them, "
    assert [text for text in watch.messages if text.startswith(waiting)] == [
        waiting + "30 minutes at most",
        waiting + "0.01 minutes at most",
    ]
    behave()
    assert result(run(STUDY, tmp_path / "run", workers=2)) == result(run(STUDY, tmp_path / "whole", workers=1))


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


def test_a_worker_with_other_code_and_packages_is_refused(tmp_path, cluster):
    other = tmp_path / "other"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, other / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", other)  # has the version of a checkout
    (other / "nas" / "further.py").write_text('"""A module more."""\n')
    (other / "hls4ml-9.9.dist-info").mkdir()
    (other / "hls4ml-9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: hls4ml\nVersion: 9.9\n")
    cluster.add_workers(1, python_path=str(other))
    watch = Watch()
    ours = fingerprint()
    differences = (
        f"it has code [0-9a-f]{{12}}, hls4ml 9.9; this machine has code {ours['code']}, hls4ml {ours['hls4ml']}"
    )
    with pytest.raises(
        ToolError, match=f"{differences}. Install the same codesign, packages and tools on every machine"
    ):
        run(SMALL, tmp_path / "run", cluster=cluster.address, listener=watch)
    cluster.add_workers(1)
    cluster.wait_for_workers()  # with the refused one alone the search would end
    found = run(SMALL, tmp_path / "run", cluster=cluster.address, listener=watch)
    assert result(found) == result(run(SMALL, tmp_path / "whole", workers=1))
    assert sum(" is refused: it has code " in text for text in watch.messages) == 2


def test_nobody_at_the_address(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(
            ToolError, match=f"no dask scheduler answers at tcp://127.0.0.1:{port} within 5 s"
        ) as caught:
            run(SMALL, tmp_path / "closed", cluster=f"tcp://127.0.0.1:{port}")
        silent.listen()
        with pytest.raises(ToolError, match="no dask scheduler answers at"):
            run(SMALL, tmp_path / "silent", cluster=f"tcp://127.0.0.1:{port}")
    command = "-m distributed.cli.dask_scheduler --no-dashboard"
    assert f"start one with: {sys.executable} {command}, or give the address that it prints" in str(caught.value)
    assert f"/python {command} " in (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()


def test_encryption_needs_certificates(tmp_path):
    with pytest.raises(InputError, match="--cluster tls://127.0.0.1:1 needs certificates: name them in dask's conf"):
        run(SMALL, tmp_path / "run", cluster="tls://127.0.0.1:1")


@pytest.mark.parametrize("address", ["tls://127.0.0.1:1", "tcp://127.0.0.1:1"])
def test_certificates_that_are_not_there(tmp_path, address):
    tls = "distributed.comm.tls"
    names = {f"{tls}.ca-file": str(tmp_path / "ca.pem"), f"{tls}.client.cert": str(tmp_path / "client.pem")}
    message = r"cannot be used \(FileNotFoundError: .*; correct ca-file, client\.cert"
    with dask.config.set(names), pytest.raises(InputError, match=message):
        run(SMALL, tmp_path / "run", cluster=address)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1:8786",
        "127.0.0.1",
        "tcp://host",
        "http://host:80",
        "udp://foo:1",
        "tcp://127.0.0.1:99999",
        "tcp://a:0",
        "",
    ],
)
def test_an_address_of_another_kind(tmp_path, address):
    """Before anything else: a search has no folder then."""
    message = f"^--cluster {address} is not the address of a dask scheduler; give e.g. tcp://10.0.0.1:8786$"
    with pytest.raises(InputError, match=message):
        run(SMALL, tmp_path / "run", cluster=address)
    assert not (tmp_path / "run").exists()


def test_an_address_that_nobody_needs_any_more(tmp_path, behave):
    behave()
    whole = run(SMALL, tmp_path / "run", workers=1)
    with pytest.raises(InputError, match="^--cluster 127.0.0.1 is not the address of a dask scheduler; "):
        run(SMALL, tmp_path / "run", cluster="127.0.0.1")
    assert result(run(SMALL, tmp_path / "run", cluster="tcp://127.0.0.1:1")) == result(whole)


def test_a_network_travels_to_the_machine_that_builds_it(tmp_path, cluster, behave):
    behave()
    cluster.add_workers(2)
    found = run(CHOSEN, tmp_path / "cluster", cluster=cluster.address)
    assert result(found) == result(run(CHOSEN, tmp_path / "here", workers=1))
    assert any(generation["rungs"][0]["others"] for generation in found.generations)


def test_who_is_trained_again_on_a_cluster_leaves_its_files_here(tmp_path, cluster, behave):
    behave()
    cluster.add_workers(2)
    found = run(AGAIN, tmp_path / "cluster", cluster=cluster.address)
    assert found.front
    assert result(found) == result(run(AGAIN, tmp_path / "here", workers=1))
    store = ArtifactStore(tmp_path / "cluster")
    assert all(store.get(record.artefacts["weights"]) in (b"1", b"2") for record in found.front)


@pytest.mark.parametrize("seconds", [1.0, 1000.0], ids=["seen", "heard of by the answers alone"])
def test_a_scheduler_that_ends_ends_the_search_and_nothing_is_lost(tmp_path, behave, monkeypatch, seconds):
    monkeypatch.setattr("codesign.cluster._LOOK_SECONDS", seconds)
    behave(sleep=0.05)
    (tmp_path / "first").mkdir()
    with LocalCluster(tmp_path / "first") as first:
        first.add_workers(2)
        first.wait_for_workers()
        watch = Watch(lambda number: first.__exit__() if number == 7 else None)
        with pytest.raises(ToolError, match="does not answer any more"):
            run(STUDY, tmp_path / "run", cluster=first.address, listener=watch)
    behave()
    assert result(run(STUDY, tmp_path / "run", workers=2)) == result(run(STUDY, tmp_path / "whole", workers=1))


def test_a_scheduler_that_is_busy_for_a_while_is_waited_for(tmp_path, cluster, behave):
    """A login node under load may be silent for longer than a connection takes."""
    behave(sleep=0.05)
    cluster.add_workers(2)
    cluster.wait_for_workers()

    def at(number):
        if number == 7:
            cluster.scheduler.send_signal(signal.SIGSTOP)
            threading.Timer(_CONNECT_SECONDS + 2, cluster.scheduler.send_signal, [signal.SIGCONT]).start()

    found = run(STUDY, tmp_path / "run", cluster=cluster.address, listener=Watch(at))
    assert result(found) == result(run(STUDY, tmp_path / "whole", workers=1))


def pool_of_two(cluster: LocalCluster) -> ClusterPool:
    """Both workers are idle; the pool looks no more who is there."""
    cluster.add_workers(2)
    cluster.wait_for_workers()
    pool = ClusterPool(
        cluster.address, Path, cluster.folder, limit_seconds=9.0, on_stage=lambda *_: None, message=lambda _text: None
    )
    while pool.idle() < 2:
        pool.wait(0.1)
    return pool


def test_a_job_that_the_end_of_a_scheduler_took_is_never_taken_for_done(tmp_path, behave, monkeypatch):
    monkeypatch.setattr("codesign.cluster._LOOK_SECONDS", 1000.0)
    with LocalCluster(tmp_path) as made:
        pool = pool_of_two(made)
        given = []
        monkeypatch.setattr(pool, "_ask", lambda member, *_: given.append(member))
        pool.submit("done", "a job")
        pool.submit("taken", "another")
        for member, answer in zip(given, (Parcel(Outcome("done", result=1)), OSError("gone")), strict=True):
            member.future = object()
            pool._events.put((member.address, member.future, answer))
    assert [outcome.key for outcome in pool.wait(1.0)] == ["done"]
    assert pool.running() == ["taken"]
    with pytest.raises(ToolError, match="does not answer any more"):
        pool.wait(1.0)
    pool.terminate()


@pytest.fixture
def lost(tmp_path, behave, monkeypatch):
    """A pool whose client has given up reaching its scheduler, which nobody has noticed."""
    monkeypatch.setattr("codesign.cluster._LOOK_SECONDS", 1000.0)
    with LocalCluster(tmp_path) as made:
        pool = pool_of_two(made)
    wait_until(lambda: pool._client.status == "closed")
    yield pool
    pool.terminate()


def test_a_client_that_gave_up_is_a_scheduler_that_is_gone(lost, monkeypatch):
    monkeypatch.setattr("codesign.cluster._LOOK_SECONDS", 0.0)
    with pytest.raises(ToolError, match="does not answer any more"):
        lost.wait(1.0)


def test_what_arrived_before_a_client_gave_up_counts_and_what_it_was_given_later_is_not_lost(lost):
    done, _other = lost._idle()
    done.key, done.future = "done", object()
    lost._events.put((done.address, done.future, Parcel(Outcome("done", result=1))))
    lost.submit("given", "a job")
    assert [outcome.key for outcome in lost.wait(1.0)] == ["done"]
    assert lost.running() == ["given"]
    with pytest.raises(ToolError, match="does not answer any more"):
        lost.wait(1.0)


def test_artefacts_travel_with_what_names_them(tmp_path):
    here, there = ArtifactStore(tmp_path / "here"), ArtifactStore(tmp_path / "there")
    digest = here.put(b"a netlist")
    final = Final("4daf", None, "it differs", artefacts={"netlist.json.gz": digest})
    parcel = pack("job", [None, final], here)
    assert unpack(parcel, there) == "job"
    assert there.get(digest) == b"a netlist"
    with pytest.raises(ValueError, match="arrived damaged"):
        unpack(Parcel("job", {digest: b"a netlis"}), there)
