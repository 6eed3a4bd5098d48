"""``codesign run``: samples of one's own through a board, and what is no sample."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from board_runs import HOST

from boards.bundle import Bundle, read_bundle
from boards.remote import Remote
from codesign.artifacts import ArtifactStore
from codesign.cli import main
from codesign.deployment import running
from hw.graph import Graph
from quant.regression import OutputFormat

SAMPLES = 40


@pytest.fixture
def samples(built):
    """Features in [0, 1.2], so that some saturate, and what the stored network says of them."""
    record, _ = built
    graph = Graph.from_json(json.loads(ArtifactStore(Path("runs/small")).get(record.artefacts["graph.json"])))
    x = np.random.default_rng(7).random((SAMPLES, 64)) * 1.2
    k = np.clip(np.rint(x * 16.0), 0, 15).astype(np.int64)
    return x, graph.output.type.to_real(graph.run(k))


def run(*arguments):
    return main(["run", "--host", HOST, "--input", "x.npz", *arguments])


def refused(capsys, *arguments):
    assert run(*arguments) == 2
    return capsys.readouterr().err.removeprefix("codesign: error: ").removesuffix("\n")


def test_outputs_are_those_of_the_network(board, samples, capsys, monkeypatch):
    x, logits = samples
    monkeypatch.setattr(running, "AT_ONCE", 16)
    y = logits.argmax(axis=1)
    y[:4] = (y[:4] + 1) % 10
    np.savez("x.npz", x=x, y=y)
    assert run("small", "--output", "y.npz") == 0
    out = capsys.readouterr().out
    assert "     ok  golden vectors: 256 of 256 equal, bit for bit\n" in out
    assert out.endswith(
        "40 samples\naccuracy: 90.00 % (36 right; error 10.0 ± 4.8 %)\n"
        "every output equals the canonical network's, bit for bit: 40 of 40\nlogits and classes: y.npz\n"
    )
    with np.load("y.npz") as found:
        assert np.array_equal(found["logits"], logits)
        assert np.array_equal(found["classes"], logits.argmax(axis=1))
        assert found["class_names"].tolist() == [str(number) for number in range(10)]
    assert not list(Path().glob("*.new"))


def test_without_labels_and_without_the_run(board, built, samples, capsys):
    x, logits = samples
    built[1].rename("other.zip")
    Path("runs").rename("elsewhere")
    np.savez("x.npz", x_test=x.reshape(SAMPLES, 8, 8))
    assert run("other.zip") == 0
    classes = ", ".join(map(str, logits.argmax(axis=1)[:20]))
    assert capsys.readouterr().out.endswith(
        "40 samples\nnot compared with the canonical network: the run that this bundle is of is not here\n"
        f"classes: {classes}, ... (all of them: --output y.npz)\n"
    )


def test_a_regression_predicts_values(board, built, samples, capsys):
    x, logits = samples
    made = read_bundle(built[1])
    meaning = OutputFormat(offset=(1.0,) * 10, gain=(0.5,) * 10, spread=(2.0,) * 10)
    manifest = {**made.manifest, "class_names": [], "output_format": meaning.to_json()}
    Bundle(manifest, made.files).write(Path("values.zip"))
    y = 1.0 + 0.5 * logits
    y[0] += 2.0  # by one standard deviation, in one of 40 samples
    np.savez("x.npz", x=x, y=y)
    assert run("values.zip", "--output", "y.npz") == 0
    out = capsys.readouterr().out
    assert "40 samples\nRMSE 0.158 ± 0.079 (in standard deviations of the training targets)\n" in out
    assert out.endswith("logits and predicted values: y.npz\n")
    with np.load("y.npz") as found:
        assert np.array_equal(found["predicted"], 1.0 + 0.5 * logits)
        assert sorted(found.files) == ["logits", "predicted"]
    np.savez("x.npz", x=x, y=y[:, :3])
    assert main(["run", "values.zip", "--host", HOST, "--input", "x.npz"]) == 2
    assert "y of x.npz has shape (40, 3): (40, 10) is needed" in capsys.readouterr().err


def test_labels_are_what_training_knew(board, samples, capsys):
    x, logits = samples
    np.savez("x.npz", x=x, y=np.array([str(number) for number in logits.argmax(axis=1)])[:, None])
    assert run() == 0
    assert "accuracy: 100.00 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.zeros((2, 64))}, "x.npz lacks x (or x_test), the samples; present: z"),
        ({}, "x.npz lacks x (or x_test), the samples; present: nothing"),
        (
            {"x": np.zeros((2, 63))},
            "x of x.npz has shape (2, 63), 63 features a sample: this network takes (samples, 64)",
        ),
        (
            {"x": np.zeros(64)},
            "x of x.npz has shape (64,): one sample is an array of shape (1, 64); reshape it",
        ),
        (
            {"x": np.zeros((0, 64))},
            "x of x.npz has shape (0, 64): there are no samples in it",
        ),
        (
            {"x": np.zeros((3, 8, 9))},
            "x of x.npz has shape (3, 8, 9), 8 x 9 features a sample: this network takes (samples, 64)",
        ),
        ({"x": np.full((2, 64), "a")}, "x of x.npz holds text: features must be numbers"),
        (
            {"x": np.array([[0.0] * 64, [np.nan, *[0.0] * 62, np.inf]])},
            "x of x.npz has 2 values not finite in float64, the first in sample 1, feature 0: nan; "
            "remove or fill these samples",
        ),
        (
            {"x": np.zeros((2, 64)), "y": np.zeros(3)},
            "y of x.npz has shape (3,): one label for each of 2 samples is needed",
        ),
        (
            {"x": np.zeros((2, 64)), "y": np.array([1, 12])},
            "y of x.npz has labels that this network does not know: '12'; it knows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        ),
        ({"x": np.array([{}, {}])}, "x.npz holds Python objects: save plain numbers"),
    ],
)
def test_what_is_no_input(board, built, capsys, arrays, message):
    np.savez("x.npz", **arrays)
    before = (board.root / "ssh.log").read_text()
    assert refused(capsys) == message
    assert (board.root / "ssh.log").read_text() == before, "the board is asked only when all is well"


def test_what_is_no_archive(board, built, capsys):
    assert refused(capsys) == "cannot read x.npz: No such file or directory"
    Path("x.npz").write_text("x,y\n1,2\n")
    assert refused(capsys) == "x.npz is no .npz archive: save one with numpy.savez(path, x=...)"
    Path("x.npz").write_bytes(b"PK\x03\x04 cut off")
    assert refused(capsys) == (
        "x.npz is a damaged .npz archive, or one that was cut short: save one with numpy.savez(path, x=...)"
    )
    with Path("x.npz").open("wb") as file:
        np.save(file, np.zeros((2, 64)))
    assert refused(capsys) == "x.npz is not an .npz archive: save one with numpy.savez(path, x=...)"


def test_a_place_for_outputs_is_looked_for_first(board, built, capsys):
    np.savez("x.npz", x=np.zeros((2, 64)))
    assert refused(capsys, "--output", "runs") == "cannot write runs: it is a folder; give another --output"
    said = refused(capsys, "--output", "none/y.npz")
    assert re.fullmatch(r"cannot write none/y.npz: there is no folder /.*/none; give another --output", said)


def test_a_board_that_computes_something_else(board, samples, capsys, monkeypatch):
    """Golden vectors were right, one's own samples are not."""
    x, _ = samples
    np.savez("x.npz", x=x)
    plain = Remote.run

    def wrong(self, words, output_words):
        found = plain(self, words, output_words).copy()
        if len(words) == SAMPLES:
            found[3] ^= 1
        return found

    monkeypatch.setattr(Remote, "run", wrong)
    assert run("--output", "y.npz") == 1
    assert capsys.readouterr().err.endswith(
        "codesign: error: the board gives other outputs than the network of runs/small for 1 of 40 samples, first "
        "sample 3; nothing that it computes is to be trusted\n"
    )
    assert not Path("y.npz").exists()


def test_a_board_whose_golden_vectors_differ_runs_nothing(board, samples, capsys):
    x, _ = samples
    np.savez("x.npz", x=x)
    board.faults("wrong")
    assert run() == 1
    assert " golden vectors give other outputs on " in capsys.readouterr().err


def test_a_board_that_is_gone(board, samples, capsys):
    x, _ = samples
    np.savez("x.npz", x=x)
    board.ssh_says(f"ssh: connect to host {HOST} port 22: No route to host")
    assert run() == 2
    assert "the board does not answer: is it on, and on this network?" in capsys.readouterr().err
