"""The report of a deployment: what it says, and that it names nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from board_runs import HOST

from boards.bundle import read_bundle
from boards.remote import Remote
from codesign.cli import main
from codesign.deployment import hosts
from codesign.deployment import keeping as deploying
from codesign.measurement import Provenance
from codesign.run import read_run


@pytest.fixture
def someone(monkeypatch, tmp_path):
    """A user of this computer with a name, a home and a host's name of their own."""
    monkeypatch.setenv("HOME", "/home/anna-secret")
    monkeypatch.setattr("getpass.getuser", lambda: "anna-secret")
    monkeypatch.setattr("socket.gethostname", lambda: "annas-laptop")
    return ("anna-secret", "annas-laptop", "someone", "lab-board", "192.168.7.9", "fe80::1ff:fe23:4567:890a", "AAbbCC",
            str(tmp_path))  # fmt: skip


@pytest.mark.parametrize("fault", ["", "wrong", "ssh", "killed in transfer"])
def test_the_report_names_nobody(board, built, capsys, someone, fault):
    if fault == "ssh":
        board.ssh_says(
            "debug: /home/anna-secret/.ssh/known_hosts:3 annas-laptop SHA256:AAbbCC 192.168.7.9\n"
            f"anna-secret on annas-laptop, fe80::1ff:fe23:4567:890a, to {HOST}: {Path.cwd()}/key "
            "lab-board.example.org Permission denied (publickey)"
        )
    elif fault:
        board.faults(fault)
    main(["deploy", "--host", HOST])
    capsys.readouterr()
    for suffix in ("md", "json"):
        text = built[1].with_name(f"deploy-report.{suffix}").read_text()
        assert [name for name in someone if name in text] == []
    if fault:
        assert "BOARD" in text


def test_the_report_has_what_helps(board, built, capsys):
    record, path = built
    alone = record.measurement.value("latency_cycles")
    assert main(["deploy", "--host", HOST]) == 0
    values = json.loads(path.with_name("deploy-report.json").read_text())
    assert (values["format"], values["outcome"], values["simulated"], values["error"]) == (1, "passed", False, None)
    assert values["bundle"]["build_id"] == read_bundle(path).manifest["build_id"]
    assert values["board"]["hello"]["versions"]["pynq"] == "3.0.1"
    assert values["figures"]["board_latency_cycles"]["provenance"] == "on_board"
    assert {check["name"] for check in values["checks"]} >= {"golden vectors", "build id", "measured clock"}
    assert values["before"][0] == {
        "name": "latency", "unit": "cycles", "search": alone, "scheduled": 37, "board": 37.0, "ratio": 1.0,
    }  # fmt: skip
    text = path.with_name("deploy-report.md").read_text()
    for expected in ("## Checks", "## Figures", "## Against what was known before", "## Times", "made to be shared"):
        assert expected in text
    assert "| board_latency_cycles | 37 | cycles | on_board | Pynq-Z1 with pynq 3.0.1 |" in text


def test_the_report_of_a_failure_has_its_log(board, built, capsys):
    board.faults("wrong")
    main(["deploy", "--host", HOST])
    text = built[1].with_name("deploy-report.md").read_text()
    assert "## What failed\n\n```\n1 of 256 golden vectors give other outputs on BOARD, first vector 0: [" in text
    assert "The end of its log:\n\n```\nvector 0: [" in text


def test_a_lookup_of_the_host_never_damages_other_words(board, built, capsys, monkeypatch):
    """A board named as its software is: the report still says pynq."""
    monkeypatch.setattr(deploying, "connect", lambda _, what, said: hosts.connect(HOST, what, said=said))
    assert main(["deploy", "--host", "xilinx@pynq"]) == 0
    assert "pynq 3.0.1" in built[1].with_name("deploy-report.md").read_text()


def test_simulated_results_say_so_everywhere(board, built, capsys, monkeypatch):
    """The label comes from what the board says of itself."""
    hello = Remote.hello
    monkeypatch.setattr(Remote, "hello", lambda self: {**hello(self), "simulated": True})
    assert main(["deploy", "--host", HOST]) == 0
    out = capsys.readouterr().out
    assert "simulated: no board took part; every figure is of a virtual board (Verilator and a DMA model)\n" in out
    assert "on_board" not in out
    (result,) = read_run(Path("runs/small")).boards
    assert result.simulated
    assert {figure.provenance for figure in result.measurement.figures.values()} == {Provenance.SIMULATED}
    text = built[1].with_name("deploy-report.md").read_text()
    assert text.startswith("# Self-test of codesign on a virtual pynq-z1: passed\n\n**Simulated. No board took part: ")
    assert "on_board" not in text
