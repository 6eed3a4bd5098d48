"""``codesign deploy``: from a run or a bundle to figures in the store, and every failure on the way."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
from pathlib import Path

import pytest
from agent_standin import LATENCY
from board_over_ssh import Board
from board_runs import HOST, standin_bundle
from test_build import store_run

from boards import remote as remote_module
from boards.bundle import Bundle, read_bundle
from boards.remote import Remote
from codesign.artifacts import ArtifactStore
from codesign.build_subject import Buildable
from codesign.cli import main
from codesign.deployment.subject import find_subject
from codesign.errors import MismatchError, StorageError
from codesign.measurement import Measurement
from codesign.record import Final
from codesign.retraining import Retraining
from codesign.run import read_run
from codesign.store import Store

OPERATIONS = ("hello", "put_bundle", "load", "run", "measure_latency", "measure_power")


def test_a_run_is_deployed_and_kept(board, built, capsys):
    record, path = built
    assert main(["deploy", "small", "--host", HOST]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith(
        f"64x4b-8q3-10 bn parallel   {record.digest[:8]} of small, for pynq-z1 at 100 MHz, to {HOST}\n"
        "     ok  reachable: "
    )
    assert "     ok  golden vectors: 256 of 256 equal, bit for bit\n" in out
    assert re.search(r"board_latency_cycles +37 +cycles +on_board", out)
    alone = f"{record.measurement.value('latency_cycles'):g}"
    assert re.search(rf"latency, cycles +{alone} +37 +37 +1\.000", out)
    report = path.with_name("deploy-report.md")
    assert f"stored: python -m codesign show small {record.digest[:8]}\n" in out
    assert out.endswith(f"report, to be shared: {report}\n")
    (result,) = read_run(Path("runs/small")).boards
    assert (result.digest, result.host, result.failed_at, result.simulated) == (record.digest, HOST, None, False)
    assert result.measurement.value("board_latency_cycles") == LATENCY
    assert result.described["hello"]["board"] == "Pynq-Z1"
    assert report.read_text().startswith("# Self-test of codesign on pynq-z1: passed\n")


def test_a_mistyped_host_leaves_the_last_report_alone(board, built, capsys):
    assert main(["deploy", "small", "--host", HOST]) == 0
    report = built[1].with_name("deploy-report.md")
    before = report.read_text()
    assert main(["deploy", "small", "--host", "a;b"]) == 2
    assert "'a;b' is no host for ssh; give it as board or user@board" in capsys.readouterr().err
    assert report.read_text() == before


def test_the_bundle_of_a_run_finds_its_run(board, built, capsys):
    record, path = built
    assert main(["deploy", str(path), "--host", HOST]) == 0
    kept = read_run(Path("runs/small")).boards
    assert [(result.digest, result.design) for result in kept] == [(record.digest, record.design)]


def test_a_bundle_elsewhere_finds_its_run_by_its_design(board, built, capsys):
    record, path = built
    moved = Path("moved.zip")
    path.rename(moved)
    assert main(["deploy", str(moved), "--host", HOST]) == 0
    assert [result.digest for result in read_run(Path("runs/small")).boards] == [record.digest]
    assert Path("deploy-report.md").is_file()


def test_the_bundle_of_a_training_after_the_search_finds_its_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, record = Path("runs/small"), store_run(tmp_path, 'board = "pynq-z1"\n[final]\nseeds = 1\n')
    design = Buildable.stored(read_run(folder), record).design
    again = dataclasses.replace(design, files={**design.files, "cdg_again.sv": "// other weights\n"})
    contents = {"rtl.json": dict(again.files), "design.json": again.schedule()}
    artefacts = {name: ArtifactStore(folder).put(json.dumps(values).encode()) for name, values in contents.items()}
    trained = dataclasses.replace(record, artefacts={**record.artefacts, **artefacts})
    with Store.open(folder) as store:
        store.put_retraining(Retraining(1, trained, Final(record.digest, Measurement({}))))
    run = read_run(folder)
    standin_bundle(folder, run.records[0]).write(Path("again.zip"))
    assert find_subject("again.zip", None, HOST).record == run.records[0] != record


def test_a_bundle_of_another_training_of_the_same_network_is_not_this_runs(board, built, capsys):
    record, _ = built
    other = standin_bundle(Path("runs/small"), record, design="0" * 64)
    other.write(Path("other.zip"))
    assert main(["deploy", "other.zip", "--host", HOST]) == 0
    assert "not stored: the run that this bundle is of is not here\n" in capsys.readouterr().out
    assert read_run(Path("runs/small")).boards == ()


def test_a_result_is_stored_beside_a_running_search(board, built, capsys):
    with Store.open(Path("runs/small")):
        assert main(["deploy", "--host", HOST]) == 0
    assert len(read_run(Path("runs/small")).boards) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small", "--host", "x y"], "'x y' is no host for ssh; give it as board or user@board"),
        (["none.zip", "--host", HOST], "cannot read none.zip: No such file or directory"),
        (["pyproject.toml", "--host", HOST], "no run 'pyproject.toml' in "),
        (["text.txt", "--host", HOST], "text.txt is damaged or no bundle: File is not a zip file; build it again"),
        (["small", "--host", HOST, "--pick", "zz"], "no candidate 'zz' in runs/small; --pick takes knee, lowest-"),
        (["BUNDLE", "--host", HOST, "--pick", "knee"], "runs/small/builds/"),
        (["small", "--host", HOST, "--meter", "ohm"], "'ohm' is no meter; give csv:PATH, or serial:DEVICE or serial:D"),
        (["small", "--host", "virtual:z"], "unknown virtual board 'z': known: pynq-z1, zcu104"),
    ],
)
def test_what_cannot_be_deployed(board, built, capsys, arguments, message):
    Path("text.txt").write_text("hello")
    assert main(["deploy", *(str(built[1]) if word == "BUNDLE" else word for word in arguments)]) == 2
    assert capsys.readouterr().err.splitlines()[0].startswith(f"codesign: error: {message}")


def test_a_run_that_was_not_built(board, built, capsys):
    record, path = built
    path.unlink()
    assert main(["deploy", "--host", HOST]) == 2
    assert capsys.readouterr().err == (
        f"codesign: error: runs/small has no bitstream of {record.digest[:8]} (64x4b-8q3-10 bn parallel); make it "
        f"with: python -m codesign build small --pick {record.digest[:8]}\n"
    )


def test_a_manifest_of_another_version(board, built, capsys):
    _, path = built
    old = read_bundle(path)
    Bundle({k: v for k, v in old.manifest.items() if k not in ("design", "clock_mhz")}, old.files).write(path)
    assert main(["deploy", str(path), "--host", HOST]) == 2
    assert capsys.readouterr().err == (
        f"codesign: error: the manifest of {path} has no usable design, clock_mhz: it is of another version of "
        "codesign; build it again\n"
    )


def test_a_board_that_is_not_set_up(board, built, tmp_path, capsys, monkeypatch):
    fresh = Board(tmp_path / "fresh")
    monkeypatch.setenv("PATH", fresh.path)
    assert main(["deploy", "--host", HOST]) == 3
    err = capsys.readouterr().err
    assert err.startswith(
        f"codesign: error: cannot use board {HOST} yet: the agent is not on the board; paste this into"
    )
    block = err.split("\n\n", 1)[1]
    assert block.startswith("sudo bash -s -- xilinx <<'END_OF_CODESIGN'\n")
    assert "sudo bash" not in built[1].with_name("deploy-report.md").read_text()
    assert fresh.paste(block).returncode == 0
    assert main(["deploy", "--host", HOST]) == 0


@pytest.mark.parametrize(
    ("said", "last"),
    [
        (
            "ssh: connect to host lab-board.example.org port 22: Connection timed out",
            "the board does not answer: is it on",
        ),
        (f"{HOST}: Permission denied (publickey,password).", f"the key is not on the board: ssh-copy-id {HOST}"),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            f"If you know why: ssh-keygen -R lab-board.example.org, then ssh {HOST}",
        ),
    ],
)
def test_a_board_that_cannot_be_reached(board, built, capsys, said, last):
    board.ssh_says(said)
    assert main(["deploy", "--host", HOST]) == 2
    assert last in capsys.readouterr().err
    assert read_run(Path("runs/small")).boards == ()
    report = json.loads(built[1].with_name("deploy-report.json").read_text())
    assert (report["outcome"], report["failed_at"], report["checks"]) == ("failed", "connecting", [])


@pytest.mark.parametrize("fault", ["wrong", "overflow", "full"])
def test_a_failure_is_kept_too_and_the_board_is_free(board, built, capsys, fault):
    stage, code, step = {
        "wrong": ("mismatch", 1, "golden vectors"),
        "overflow": ("board", 1, "golden vectors"),
        "full": ("board", 2, "looking at the board"),
    }[fault]
    board.faults(fault)
    assert main(["deploy", "--host", HOST]) == code
    out, err = capsys.readouterr()
    assert err.splitlines()[-1].startswith("codesign: error: ")
    assert "Traceback" not in err
    (result,) = read_run(Path("runs/small")).boards
    assert (result.failed_at, result.measurement) == (stage, None)
    assert result.reason == err.splitlines()[-1].removeprefix("codesign: error: ")
    report = built[1].with_name("deploy-report.md")
    assert report.read_text().startswith(f"# Self-test of codesign on pynq-z1: failed at: {step}\n")
    assert f"report, to be shared: {report}\n" in out
    board.faults()
    assert main(["deploy", "--host", HOST]) == 0
    assert [result.failed_at for result in read_run(Path("runs/small")).boards] == [stage, None]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_connection_that_ends_at_every_step(board, built, capsys, monkeypatch, operation):
    """The failing step is named, what was known is kept, nothing is lost, and the board is free."""
    ask = remote_module.Remote._ask

    def gone(self, op, *arguments, **keys):
        if op == operation:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        return ask(self, op, *arguments, **keys)

    kept = {path: path.read_bytes() for path in Path("runs/small/artifacts").rglob("*") if path.is_file()}
    if operation == "put_bundle":
        for bundle_there in (board.root / "state").glob("*.zip"):
            bundle_there.unlink()
    monkeypatch.setattr(remote_module.Remote, "_ask", gone)
    code = 2 if operation == "hello" else 1
    assert main(["deploy", "--host", HOST]) == code
    err = capsys.readouterr().err
    assert re.fullmatch(r"codesign: error: (no agent answers on|the connection to) board .*\n", err)
    report = json.loads(built[1].with_name("deploy-report.json").read_text())
    steps = dict(zip(OPERATIONS, report_steps(), strict=True))
    assert (report["outcome"], report["failed_at"]) == ("failed", steps[operation])
    boards = read_run(Path("runs/small")).boards
    assert [result.failed_at for result in boards] == ([] if operation == "hello" else ["board"])
    if operation == "measure_power":
        assert boards[0].measurement.value("board_latency_cycles") == LATENCY
    monkeypatch.setattr(remote_module.Remote, "_ask", ask)
    assert main(["deploy", "--host", HOST]) == 0
    assert kept == {path: path.read_bytes() for path in Path("runs/small/artifacts").rglob("*") if path.is_file()}


def report_steps():
    return "looking at the board", "copying", "programming", "golden vectors", "latency and throughput", "power"


def test_ctrl_c_frees_the_board(board, built, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "measure_latency", interrupted)
        assert main(["deploy", "--host", HOST]) == 130
    assert capsys.readouterr().err == "codesign: stopped\n"
    assert main(["deploy", "--host", HOST]) == 0


def test_a_folder_that_takes_no_report(board, built, capsys):
    _, path = built
    path.with_name(".deploy-report.json.new").mkdir()
    assert main(["deploy", "--host", HOST]) == 2
    report = path.with_name("deploy-report.json")
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"codesign: error: cannot write {report}: Is a directory; make room there, then run: python -m codesign deploy "
        "again"
    )
    assert len(read_run(Path("runs/small")).boards) == 1, "what was measured is stored all the same"


def test_a_store_that_takes_nothing(board, built, capsys, monkeypatch):
    """The report has what was measured all the same."""

    def refuse(*_):
        raise StorageError("cannot store in runs/small/store.sqlite: database or disk is full")

    monkeypatch.setattr(Store, "put_board", refuse)
    assert main(["deploy", "--host", HOST]) == 2
    assert capsys.readouterr().err.endswith(
        "codesign: error: cannot store in runs/small/store.sqlite: database or disk is full\n"
    )
    report = json.loads(built[1].with_name("deploy-report.json").read_text())
    assert report["figures"]["board_latency_cycles"]["value"] == LATENCY


def test_another_build_that_answers_is_no_mismatch_of_the_candidate(board, built, monkeypatch):
    def stale(*_):
        raise MismatchError("a stale bitstream")

    monkeypatch.setattr(remote_module.Remote, "load", stale)
    assert main(["deploy", "--host", HOST]) == 1
    assert [result.failed_at for result in read_run(Path("runs/small")).boards] == ["board"]
