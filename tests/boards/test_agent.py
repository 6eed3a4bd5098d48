"""The agent: its operations on a stand-in fabric, and what it refuses."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest
from agent_bundles import made
from agent_standin import INTERVAL, LATENCY

from boards.agent.server import Patient


def test_outputs_are_those_of_the_graph(session):
    subject, agent = made(), session()
    described = agent.loaded(subject)
    assert described == {
        "ok": True,
        "build_id": subject.bundle.manifest["build_id"],
        "clock_mhz": 100.0,
        "word_bits": subject.format.word_bits,
        "input_words": subject.format.input_words,
        "output_words": subject.format.output_words,
        "frame_seconds": max(subject.bundle.manifest[f"{name}_cycles"] for name in ("latency", "interval")) / 100e6,
    }
    for count in (1, 7, 300):
        answer, data = agent.good("run", subject.words(count).tobytes())
        assert answer["frames"] == count
        words = np.frombuffer(data, f"<u{subject.format.word_bits // 8}").reshape(count, -1)
        assert np.array_equal(subject.format.decode(words), subject.outputs(count))
    assert agent.good("run", b"") == ({"ok": True, "frames": 0}, b"")


def test_more_frames_than_the_buffers_hold_go_in_several_transfers(session, monkeypatch):
    monkeypatch.setattr("boards.agent.device.BURST_BYTES", 100)
    subject, agent = made(), session()
    agent.loaded(subject)
    agent.fabric.log.clear()
    _, data = agent.good("run", subject.words(23).tobytes())
    words = np.frombuffer(data, f"<u{subject.format.word_bits // 8}").reshape(23, -1)
    assert np.array_equal(subject.format.decode(words), subject.outputs(23))
    frame = max(subject.format.input_words, subject.format.output_words) * subject.format.word_bits // 8
    assert len(agent.fabric.log) == -(-23 // (100 // frame)) > 1


def test_hello_needs_nothing_and_tells_what_is_there(session):
    subject, agent = made(), session()
    assert agent.good("hello")[0]["bundles"] == []
    agent.loaded(subject)
    answer, _ = agent.good("hello")
    assert answer["bundles"] == [subject.digest]
    assert (answer["protocol"], answer["board"]) == (1, "Pynq-Z1")


def test_latency_is_counted_by_the_hardware(session):
    subject, agent = made(), session()
    agent.loaded(subject)
    answer, _ = agent.good("measure_latency", subject.words(3).tobytes(), repeats=11)
    single = answer["single"]
    assert (single["latency_min"], single["latency_max"], single["frames_in"]) == (LATENCY, LATENCY, 11)
    assert [batch["frames"] for batch in answer["batches"]] == [1, 16, 256, 4096]
    assert [batch["interval_cycles"] for batch in answer["batches"]] == [None, INTERVAL, INTERVAL, INTERVAL]
    assert answer["clock_mhz"] == 100.0
    json.dumps(answer)


def test_power_is_a_difference_or_below_the_sensors_resolution(session):
    subject, agent = made(), session()
    agent.loaded(subject)
    agent.fabric.log.append("idle")
    answer, _ = agent.good("measure_power", subject.words(20).tobytes(), seconds=0.4)
    assert set(answer["rails"]) == {"INT", "AUX"}
    assert answer["rails"]["INT"]["difference_w"] == pytest.approx(1.0, abs=0.02)
    assert not answer["rails"]["INT"]["below_resolution"]
    assert answer["rails"]["AUX"]["below_resolution"]
    assert answer["frames"] > 0
    assert answer["idle_s"][1] == answer["busy_s"][0]


def test_without_a_sensor_the_work_goes_on_for_a_meter_outside(session):
    subject, agent = made(), session("no rails")
    agent.loaded(subject)
    answer, _ = agent.good("measure_power", subject.words(20).tobytes(), seconds=0.05)
    assert answer["rails"] == {}
    assert answer["frames"] > 0


def test_rails_that_are_always_zero_say_nothing(session, monkeypatch):
    """pynq gives zero for a sensor that it never could read."""
    subject, agent = made(), session()
    agent.loaded(subject)
    monkeypatch.setattr(agent.fabric, "power", lambda: {"DEAD": (0.0,), "DARK": (5.0, 0.0), "INT": (1.0,)})
    answer, _ = agent.good("measure_power", subject.words(2).tobytes(), seconds=0.05)
    assert set(answer["rails"]) == {"INT", "DARK"}


def test_what_a_sensor_averages_over_the_change_is_left_out(session, monkeypatch):
    """It still holds what was before, for a while after work began."""
    subject, agent = made(), session()
    agent.loaded(subject)
    monkeypatch.setattr("boards.agent.device.SETTLE_SECONDS", 0.1)
    began = time.monotonic()

    def slow():
        passed = time.monotonic() - began
        return {"INT": (1.0 if passed < 0.45 else 2.0,)}

    monkeypatch.setattr(agent.fabric, "power", slow)
    answer, _ = agent.good("measure_power", subject.words(2).tobytes(), seconds=0.4)
    assert answer["rails"]["INT"]["busy_w"] == 2.0


def test_an_error_at_work_ends_the_measurement(session):
    subject, agent = made(), session()
    agent.loaded(subject)
    agent.fabric.faults.add("stuck")
    kind, message = agent.refused("measure_power", subject.words(2).tobytes(), seconds=0.05)
    assert kind == "timeout"
    assert "did not send" in message


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("stuck", "timeout", "did not send all within 2.0 s; the accelerator took 0 frames and sent 0 (status 0x0"),
        ("no tlast", "timeout", "every frame left it, so TLAST is missing at the end of the packet"),
        ("overflow", "hardware", "errors: overflow; results are not to be trusted"),
        ("short", "hardware", "32-bit words, errors: none; results are not to be trusted"),
    ],
)
def test_a_fault_of_the_hardware_is_said_and_gone_after_a_reset(session, fault, kind, said):
    subject, agent = made(), session()
    agent.loaded(subject)
    agent.fabric.faults.add(fault)
    found, message = agent.refused("run", subject.words(4).tobytes())
    assert found == kind
    assert said in message
    assert agent.fabric.log[-1] == "reset"
    agent.fabric.faults.clear()
    agent.good("reset")
    _, data = agent.good("run", subject.words(4).tobytes())
    words = np.frombuffer(data, f"<u{subject.format.word_bits // 8}").reshape(4, -1)
    assert np.array_equal(subject.format.decode(words), subject.outputs(4))


def test_tlast_is_not_blamed_where_frames_are_missing(session):
    """Earlier frames all came back; of these none went in."""
    subject, agent = made(), session()
    agent.loaded(subject)
    agent.good("run", subject.words(4).tobytes())
    agent.fabric.faults.add("stuck")
    kind, message = agent.refused("run", subject.words(4).tobytes())
    assert kind == "timeout"
    assert "took 4 frames and sent 4" in message
    assert "TLAST" not in message


def test_a_transfer_of_a_slow_network_is_short(session):
    """However many frames are asked for, each transfer is about a second's work."""
    subject, agent = made(1, interval_cycles=25_000_000), session()
    agent.loaded(subject)
    agent.fabric.log.clear()
    agent.good("run", subject.words(10).tobytes())
    assert len(agent.fabric.log) == 3


def test_a_stale_bitstream_is_noticed_by_its_build_id(session):
    first, second, agent = made(1), made(2), session("stale")
    agent.loaded(first)
    agent.good("put_bundle", second.content, sha256=second.digest)
    kind, message = agent.refused("load", sha256=second.digest)
    assert kind == "mismatch"
    ids = [subject.bundle.manifest["build_id"] for subject in (first, second)]
    assert message == f"build {ids[0]} answers after programming, not {ids[1]}: a stale bitstream; deploy again"
    assert agent.refused("run", b"")[1] == "nothing is loaded on the board; load a bundle first"


def test_a_bundle_for_another_board_is_refused(session):
    subject, agent = made(1, "zcu104"), session()
    agent.good("put_bundle", subject.content, sha256=subject.digest)
    kind, message = agent.refused("load", sha256=subject.digest)
    assert (kind, message) == ("bundle", "the bundle is for board 'zcu104', and this is 'Pynq-Z1'")
    assert not any(entry.startswith("program") for entry in agent.fabric.log)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            {},
            "unknown operation 'None'; this agent has: hello, put_bundle, load, run, measure_latency, measure_power, ",
        ),
        ({"op": "read_memory"}, "unknown operation 'read_memory'"),
        ({"op": ["load"]}, "unknown operation \"['load']\""),
        ({"op": "load"}, "load takes ['sha256'], not []"),
        ({"op": "load", "sha256": "../../etc/passwd"}, "'../../etc/passwd' is no SHA-256; bundles have no other names"),
        ({"op": "load", "sha256": 5}, "sha256 = 5 is not of type str"),
        ({"op": "load", "sha256": "0" * 64 + "\n"}, "is no SHA-256"),
        ({"op": "load", "sha256": "0" * 64}, "the board has no bundle 0000000000000000; send it first"),
        ({"op": "hello", "path": "/etc"}, "hello takes [], not ['path']"),
        ({"op": "run"}, "nothing is loaded on the board; load a bundle first"),
        ({"op": "reset"}, "nothing is loaded on the board; load a bundle first"),
    ],
)
def test_requests_that_are_not_of_the_protocol(session, header, said):
    answer, data = session().server.answer(header, b"")
    assert (answer["ok"], answer["kind"], data) == (False, "request", b"")
    assert said in answer["message"]


def test_limits_of_what_is_asked(session):
    subject, agent = made(), session()
    agent.loaded(subject)
    data = subject.words(1).tobytes()
    assert "no whole number of frames" in agent.refused("run", data + b"x")[1]
    assert agent.refused("measure_latency", data, repeats=0)[1] == "repeats = 0; it is 1 to 10000"
    assert "is not of type int" in agent.refused("measure_latency", data, repeats=True)[1]
    assert agent.refused("measure_latency", b"", repeats=1)[1] == "a measurement takes at least one frame; send some"
    for seconds in (0.0, 61.0, float("nan"), float("inf")):
        assert "it is above 0, at most 60" in agent.refused("measure_power", data, seconds=seconds)[1]


def test_one_agent_at_a_time(session):
    first, second = session(), session()
    first.loaded(made())
    kind, message = second.refused("load", sha256=made().digest)
    assert (kind, message) == (
        "busy",
        f"the board is in use by process {os.getpid()} on it; try again when that has ended",
    )
    assert second.good("hello")[0]["bundles"] == [made().digest]
    first.server.close()
    second.good("load", sha256=made().digest)


def test_a_host_that_falls_silent_is_given_up():
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb", buffering=0) as pipe:
        patient = Patient(pipe, 0.05)
        os.write(theirs, b"ab")
        assert patient.read(2) == b"ab"
        with pytest.raises(TimeoutError, match=r"^no request for 0\.05 s$"):
            patient.read(1)
        os.close(theirs)
        assert patient.read(1) == b""
