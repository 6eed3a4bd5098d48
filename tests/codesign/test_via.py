"""``codesign measure --via``: other instruments beside ours, all of them stand-ins but hls4ml's C simulation."""

from __future__ import annotations

import json
import re

import pytest
from reports import Source
from user_models import saved, small

import codesign
from codesign import instruments
from codesign.cli import main
from codesign.errors import InputError, StorageError, TargetError, ToolMissingError, ToolRunError, ToolTerminatedError
from codesign.measurement import Measurement
from codesign.measuring import Subject
from hw.measure.cache import SETTING

ALL = ("rtl", "vivado", "vivado-routed", "nextpnr", "hls")


def by_name(result):
    return {reading["instrument"]: reading for reading in result["instruments"]}


def test_all_instruments_side_by_side(tools, tmp_path, capsys):
    out = tmp_path / "out"
    path = saved(small(), tmp_path / "mine.h5")
    assert main(["measure", str(path), "--folding", "8", "--via", ",".join(ALL), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    found = by_name(report)
    assert list(found) == [
        *("vivado", "vivado-routed", "nextpnr", "hls csim", "hls csynth", "hls cosim", "hls vsynth")
    ]  # fmt: skip
    assert {reading["status"] for reading in found.values()} == {"ok"}
    assert all(set(reading) == {
        "instrument", "status", "reason", "log", "seconds", "warnings", "design", "host", "figures",
    } for reading in found.values())  # fmt: skip
    assert found["vivado"]["figures"]["lut"]["provenance"] == "synthesized"
    assert found["vivado-routed"]["figures"]["fmax"]["provenance"] == "routed"
    assert found["nextpnr"]["figures"]["fmax"]["value"] == 100
    assert found["hls csim"]["figures"]["csim_mismatches"]["value"] == 0
    assert report["figures"]["lut"]["tool"] == "yosys"
    number, word = r"^ *{} +".format, r"\n +{} *$".format
    assert re.search(number("differing vectors") + r"0 of 1280 +- +- +- +0 of 1280 *$", text, re.MULTILINE)
    kinds = "synthesized +synthesized +routed +synthesized"
    assert re.search(number("LUT") + r"\S+ +120 +120 +- +120 *" + word(kinds), text, re.MULTILINE)
    # the co-simulated latency and not the scheduled one; the clock of C synthesis, for want of a better
    kinds = "simulated +simulated"
    assert re.search(number(r"latency \(cycles\)") + r"\d+ +- +- +- +8 *" + word(kinds), text, re.MULTILINE)
    kinds = "modelled +synthesized +routed +routed +estimated"
    assert re.search(number(r"Fmax \(MHz\)") + r"\S+ +≥ 117.6 +≥ 117.6 +100 +153.8 *" + word(kinds), text, re.MULTILINE)
    assert re.search(word(kinds) + word("outside the") + word("fitted range"), text, re.MULTILINE)
    assert re.search(
        number(r"power \(W\)") + r"- +0.118 +0.118 +- +- *" + word("estimated +estimated"), text, re.MULTILINE
    )
    assert re.search(
        word("estimated +estimated") + word("assumed +assumed") + word("activity +activity"), text, re.MULTILINE
    )
    project = (out / "instruments" / "hls" / "firmware" / "network.cpp").read_text()
    assert "dense" in project
    parameters = (out / "instruments" / "hls" / "firmware" / "parameters.h").read_text()
    assert "reuse_factor = 8" in parameters
    assert "nnet::resource" in parameters


def test_what_fails_is_a_reading_with_reason_and_log_and_the_others_go_on(tools, tmp_path, capsys, monkeypatch):
    path = saved(small(), tmp_path / "mine.h5")
    licence = "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis'"
    tools(vivado={"say": licence, "code": 1}, hls={"version": "2031.1", "cosim": "Fail"})
    assert main(["measure", str(path), "--folding", "8", "--via", "vivado,hls", "--json"]) == 1
    found = by_name(json.loads(capsys.readouterr().out))
    assert found["vivado"]["status"] == found["hls vsynth"]["status"] == found["hls cosim"]["status"] == "failed"
    assert found["vivado"]["reason"] == f"Vivado has no licence for this: {licence}"
    assert licence in found["vivado"]["log"]
    assert found["vivado"]["figures"] == {}
    assert found["hls cosim"]["reason"] == "the co-simulation of hls4ml's project failed"
    assert found["hls csynth"]["status"] == "ok"
    (warning,) = found["hls csynth"]["warnings"]
    assert warning.startswith("Vitis HLS 2031.1 is not a version that this is written for")
    monkeypatch.setenv("COLUMNS", "200")
    boxes = Source(design="network").utilization(boxes=("mul",))
    tools(vivado={"reports": {"vivado_synth.rpt": boxes}}, hls={"version": "2031.1", "cosim": "Fail"})
    assert main(["measure", str(path), "--folding", "8", "--via", "hls"]) == 1
    text = capsys.readouterr().out
    assert re.search(r"LUT +\d+ +700 *\n +synthesized +estimated *\n +untested *\n", text)
    gone = "without what is in the black boxes mul; --out DIR keeps that file"  # and no path of a scratch folder
    assert f"hls vsynth: hls/vivado_synth.rpt:1: the counts are {gone}" in text


def test_a_run_time_out_of_the_cache_says_so(tools, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(SETTING, str(tmp_path / "cache"))
    command = ["measure", str(saved(small(), tmp_path / "mine.h5")), "--folding", "8", "--via", "vivado"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    first = capsys.readouterr().out
    assert main(command) == 0
    second = capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    assert re.search(r"^ *run time \(s\) +[\d.]+ +[\d.]+ *$", first, re.MULTILINE)
    assert "cached" not in first[first.index("run time (s)") :]
    assert re.search(r"^ *run time \(s\) +[\d.]+ +[\d.]+ *\n +cached *$", second, re.MULTILINE)
    assert "RTL (ours): its run time is no measure of how long it takes" in second
    assert json.loads((tmp_path / "out" / "report.json").read_text())["cached"] is False
    assert json.loads(capsys.readouterr().out)["cached"] is True


def test_without_vendor_tools_the_hls_path_still_simulates_and_says_what_is_missing(without_tools, tmp_path, capsys):
    path = saved(small(), tmp_path / "mine.h5")
    assert main(["measure", str(path), "--folding", "8", "--via", "rtl,hls"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"differing vectors +0 of 1280 +0 of 1280 *$", text, re.MULTILINE)
    assert re.search(r"LUT +\d+ +- *\n +synthesized *$", text, re.MULTILINE)
    assert "hls csynth: Vitis HLS was not found: no program 'vitis-run' or 'vitis_hls' is on PATH; set CODESIGN" in text
    assert "hls cosim: it needs the RTL of hls csynth" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--via", "rtl,vivada"], 2, "--via 'vivada' is no instrument; did you mean vivado"),
        (["--via", ""], 2, "--via '' is no instrument; known: c, hls, nextpnr, rtl, vivado, vivado-routed"),
        (["--via", "vivado"], 3, "Vivado was not found: no program 'vivado' is on PATH; set CODESIGN_VIVADO to its pa"),
        (["--via", "nextpnr"], 3, "nextpnr-xilinx was not found: no program 'nextpnr-xilinx' is on PATH; set CODESIGN"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_work(without_tools, tmp_path, capsys, arguments, code, message):
    assert main(["measure", str(tmp_path / "none.h5"), *arguments]) == code
    assert capsys.readouterr().err.startswith(f"codesign: error: {message}")


def test_a_part_that_nextpnr_does_not_know(tools, tmp_path):
    with pytest.raises(TargetError, match="nextpnr-xilinx routes 7-series parts only, not 'xczu7ev-ffvc1156-2-e'"):
        codesign.measure(tmp_path / "none.h5", board="zcu104", via=["nextpnr"])


def test_models_without_an_hls_path(tmp_path):
    from codesign.architecture import Hardware
    from codesign.measuring import measure_subject

    subject = Subject("mine", None, Hardware("parallel"), None)
    with pytest.raises(InputError, match="--via hls: hls4ml's HLS path is only made of Keras models here; leave hls"):
        measure_subject(subject, out=None, c_simulation=True, via=["hls"])


def test_what_is_no_failure_of_the_instrument_comes_through():
    def raises(error):
        def work():
            raise error

        return work

    assert instruments.attempt("x", lambda: Measurement({})).status == "ok"
    failed = instruments.attempt("x", raises(ToolRunError("it broke", "its log")))
    assert (failed.status, failed.reason, failed.log) == ("failed", "it broke", "its log")
    assert instruments.attempt("x", raises(ToolTerminatedError("ended by SIGTERM"))).status == "failed"
    assert instruments.attempt("x", raises(ToolMissingError("none"))).status == "missing"
    for error in (StorageError("full"), KeyboardInterrupt(), AssertionError("a mistake of ours")):
        with pytest.raises(type(error)):
            instruments.attempt("x", raises(error))
