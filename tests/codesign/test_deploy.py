"""A bundle onto a board, over stand-ins for ssh and the fabric; the agent is the archive's own."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from agent_bundles import made
from agent_standin import INTERVAL, LATENCY
from board_runs import HOST

from boards.bundle import Bundle
from boards.meters import MEASURES
from boards.remote import Remote
from codesign.deployment import hosts
from codesign.deployment.session import Deployment, deploy
from codesign.errors import BundleError, InputError, MismatchError, StorageError, ToolError, ToolRunError
from codesign.measurement import Provenance


def bundle(**changes):
    return made(1, latency_cycles=LATENCY, interval_cycles=INTERVAL, **changes).bundle


def deployed(what=None, **arguments):
    what = what if what is not None else bundle()
    with hosts.connect(HOST, what) as remote:
        return deploy(what, remote, **arguments)


def test_every_step_in_order_and_what_was_found(board):
    steps = []
    done = deployed(step=steps.append)
    assert steps == [
        "looking at the board", "copying", "programming", "golden vectors", "latency and throughput", "power",
    ]  # fmt: skip
    assert set(done.seconds) == set(steps)
    assert [(check.name, check.outcome) for check in done.checks] == [
        (name, "ok")
        for name in (
            *("reachable", "board", "root", "pynq", "space", "bundle", "build id", "clock register"),
            *("golden vectors", "latency", "measured clock", "power"),
        )
    ]
    words = {check.name: check.words for check in done.checks}
    assert words["golden vectors"] == "50 of 50 equal, bit for bit"
    assert words["latency"] == "37 cycles, as scheduled"
    assert words["measured clock"] == "100 MHz"
    assert done.described["hello"]["board"] == "Pynq-Z1"
    assert done.described["load"]["build_id"] == bundle().manifest["build_id"]


def test_figures_of_a_board(board):
    done = deployed()
    figures = done.measurement.figures
    assert {figure.provenance for figure in figures.values()} == {Provenance.ON_BOARD}
    assert {(figure.tool, figure.version) for figure in figures.values()} == {("Pynq-Z1 with pynq", "3.0.1")}
    values = {name: figure.value for name, figure in figures.items()}
    assert values["board_mismatches"] == 0
    assert (values["board_latency_cycles"], values["board_interval_cycles"]) == (LATENCY, INTERVAL)
    assert values["board_clock_mhz"] == pytest.approx(100.0)
    assert values["board_latency_us"] == pytest.approx(LATENCY / 100.0)
    frames = 4096
    assert values["board_fps"] == pytest.approx(frames / ((LATENCY + (frames - 1) * INTERVAL) / 100e6))
    details = figures["board_latency_cycles"].details
    assert (details["min"], details["max"], details["last"], details["scheduled"]) == (LATENCY,) * 3 + (LATENCY,)
    assert set(figures["board_fps"].details) == {"batch", "includes", "fps_1", "fps_16", "fps_256"}
    power = figures["board_power_w"]
    assert (power.unit, power.details["measures"], set(power.details["rails"])) == ("W", "rail INT", {"INT", "AUX"})
    begun, ended = done.described["power"]["busy_s"]
    joules = power.value * (ended - begun)
    assert power.details["uj_per_inference"] == pytest.approx(1e6 * joules / power.details["frames"])


def test_a_clock_that_is_not_what_its_register_says(board):
    """Times are of the clock that was counted, and it is said so that nobody overlooks it."""
    board.faults("slow clock")
    done = deployed()
    (check,) = [check for check in done.checks if check.name == "measured clock"]
    assert check.outcome == "warning"
    assert check.words == "THE CLOCK RUNS AT 80 MHz, its register says 100; times are of 80 MHz"
    figures = done.measurement.figures
    assert figures["board_latency_us"].value == pytest.approx(LATENCY / 80.0)
    assert figures["board_latency_us"].details["nominal"] == pytest.approx(LATENCY / 100.0)
    assert figures["board_clock_mhz"].details["register"] == 100.0


def test_other_cycles_than_scheduled_are_said(board):
    done = deployed(made(1, latency_cycles=30, interval_cycles=INTERVAL).bundle)
    (check,) = [check for check in done.checks if check.name == "latency"]
    assert (check.outcome, check.words) == ("warning", "37 to 37 cycles; 30 were scheduled")
    assert done.measurement.value("board_latency_cycles") == 37


@pytest.mark.parametrize(
    ("fault", "name", "words"),
    [
        ("new pynq", "pynq", "pynq 4.0.0; pynq-z1 is described for 3.0, 3.1"),
        ("no name", "board", "its image does not say which board it is; the bundle is for pynq-z1"),
    ],
)
def test_what_is_only_a_warning(board, fault, name, words):
    board.faults(fault)
    (check,) = [check for check in deployed().checks if check.name == name]
    assert (check.outcome, check.words) == ("warning", words)


def test_without_a_sensor_there_is_no_power(board):
    board.faults("no rails")
    done = deployed()
    assert done.checks[-1].words == "none: the board has no sensor, and no --meter was given"
    assert not {"board_power_w", "board_supply_w"} & set(done.measurement.figures)


class Meter:
    """Stands in for a meter; what those of boards/meters.py do is tested there."""

    name = "csv:/home/someone/usb.csv"

    def __init__(self, error=None):
        self.error = error

    def measure(self, ask):
        answer = ask()
        if self.error is not None:
            raise self.error
        reading = {"idle_w": 2.0, "busy_w": 2.5, "difference_w": 0.5, "step_w": 0.01, "below_resolution": False}
        return answer, {**reading, "measures": MEASURES, "meter": self.name}


def test_a_meter_measures_the_whole_board(board):
    board.faults("no rails")
    done = deployed(meter=Meter())
    supply = done.measurement.figures["board_supply_w"]
    assert (supply.value, supply.unit, supply.tool) == (2.5, "W", "csv meter")
    assert supply.details["difference"] == "0.5 W"
    assert done.checks[-1].words == f"2.5 W ({MEASURES}); at work against idle: 0.5 W"
    assert "board_power_w" not in done.measurement.figures


def test_a_meter_that_fails_costs_only_its_figure(board):
    done = deployed(meter=Meter(ToolError("meter csv:x gave no reading in 10 s")))
    assert (done.checks[-1].outcome, done.checks[-1].words) == ("warning", "none: meter csv:x gave no reading in 10 s")
    assert done.measurement.value("board_latency_cycles") == LATENCY


FAILURES = {
    "other board": (
        BundleError,
        "the bundle is for board 'pynq-z1', and {host} is 'ZCU104'; build it for that board, or give another --host",
    ),
    "no root": (
        ToolError,
        "the agent on {host} does not run as root, which overlays need; set the board up again (docs/boards.md)",
    ),
    "no pynq": (
        ToolError,
        "the agent's Python on {host} (3.11.7) has no pynq; use an image with PYNQ, then set the board up again",
    ),
    "pycparser": (
        ToolError,
        "pycparser 3.0 on {host}, and pynq 3.0.1 reads .hwh files with 2.x only; there, as root: pip install "
        "'pycparser<3'",
    ),
    "full": (StorageError, "1 MiB are free on the disk of {host}, 4 MiB are needed; make room there"),
    "old": (ToolError, "the agent on {host} speaks protocol 0, this version of codesign 1; set the board up again"),
    "slow register": (
        ToolRunError,
        "the fabric clock of {host} is set to 62.5 MHz; the bundle is for 100; reboot the board, then deploy again",
    ),
    "stuck": (
        ToolRunError,
        "board {host}: the DMA did not send all within 2.0 s; the accelerator took 0 frames and sent 0 (status 0x0, "
        "errors 0x0)",
    ),
    "overflow": (
        ToolRunError,
        "board {host}: 50 frames gave 100 of 100 32-bit words, errors: overflow; results are not to be trusted; deploy "
        "again",
    ),
    "killed in transfer": (
        ToolRunError,
        "the connection to board {host} was lost: it ended the session (Killed); try again",
    ),
}


@pytest.mark.parametrize("fault", FAILURES)
def test_failures_are_said_whole(board, fault, monkeypatch):
    error, words = FAILURES[fault]
    board.faults(fault)
    with pytest.raises(error) as caught:
        deployed()
    assert type(caught.value) is error
    said = re.sub(r"\(3\.\d+\.\d+\)", "(3.11.7)", str(caught.value))
    assert said == words.format(host=HOST)


def test_one_wrong_bit_is_refused(board):
    board.faults("wrong")
    what = bundle()
    with hosts.connect(HOST, what) as remote:
        attempt = Deployment(what, remote)
        with pytest.raises(MismatchError) as caught:
            attempt.deploy()
    assert re.fullmatch(
        rf"1 of 50 golden vectors give other outputs on {HOST}, first vector 0: \[.*\] instead of \[.*\] "
        r"\(golden/inputs.npy and golden/outputs.npy in the bundle\); nothing that it computes is to be trusted",
        str(caught.value),
    )
    assert re.fullmatch(r"vector 0: \[.*\] instead of \[.*\]", caught.value.log)
    known = attempt.known()
    assert (attempt.at, dict(known.measurement.figures)) == ("golden vectors", {})
    assert (known.checks[-1].name, known.checks[-1].outcome) == ("golden vectors", "failed")


def test_an_answer_without_what_it_must_have(board, monkeypatch):
    monkeypatch.setattr(Remote, "measure_latency", lambda *_: {"single": {}})
    with pytest.raises(ToolRunError) as caught:
        deployed()
    assert str(caught.value) == (
        f"board {HOST}: its answer at 'latency and throughput' is not as it must be (KeyError('counted')); set the "
        "board up again (docs/boards.md)"
    )


@pytest.mark.parametrize("name", ["golden/inputs.npy", "golden/outputs.npy"])
def test_a_bundle_without_golden_vectors_is_refused_before_the_board_is_asked(name):
    what = bundle()
    spoiled = Bundle(what.manifest, {**what.files, name: b"\x93NUMPY"})
    with pytest.raises(BundleError, match=r"^the bundle has no usable golden vectors: .*; build it again$"):
        Deployment(spoiled, None)


def test_golden_vectors_of_other_shapes(board):
    what = bundle()
    with pytest.raises(BundleError, match=r"inputs of shape \(50, 13\), outputs of \(50, 13\); build it again$"):
        Deployment(Bundle(what.manifest, {**what.files, "golden/outputs.npy": what.files["golden/inputs.npy"]}), None)


def test_a_virtual_board_has_no_meter(board, monkeypatch):
    hello = Remote.hello
    monkeypatch.setattr(Remote, "hello", lambda self: {**hello(self), "simulated": True})
    with pytest.raises(InputError, match=r"^a virtual board draws no power; leave out --meter$"):
        deployed(meter=Meter())


def test_golden_vectors_are_those_of_the_manifests_format():
    what = bundle()
    with pytest.raises(BundleError, match="no usable golden vectors: format None"):
        Deployment(replace(what, manifest={**what.manifest, "host_format": {}}), None)
