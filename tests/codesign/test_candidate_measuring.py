"""Other instruments on a run's candidate, what is kept of them, and what may be sent; stand-ins for vendors."""

from __future__ import annotations

import dataclasses
import getpass
import json
import re
import shutil
import socket
from pathlib import Path

import pytest
from reports import Source
from test_build import store_run
from user_models import saved, small

from boards.catalogue import load_target
from codesign.architecture import DenseLayer
from codesign.artifacts import ArtifactStore
from codesign.cli import main
from codesign.report import instruments as report_instruments
from codesign.run import read_run
from codesign.store import Store
from codesign.submission import submission
from codesign.target import Part, Target
from hw.design import TOP
from hw.implement import Implementation
from hw.measure import yosys
from hw.measure.netlist_statistics import statistics
from hw.measure.timing import analyse

RUN = Path("runs/synthesized")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The run ``runs/synthesized``, of whose two candidates one has its netlist still."""
    here = tmp_path_factory.mktemp("run")
    plain = store_run(here, 'board = "pynq-z1"')
    run = here / "runs" / "small"
    artefacts, part = ArtifactStore(run), read_run(run).task.target.part
    files = json.loads(artefacts.get(plain.artefacts["rtl.json"]))
    done = yosys.synthesize(yosys.plan(files, TOP, part), here / "synthesis", timeout_s=120)
    netlist = artefacts.put((here / "synthesis" / yosys.ARTEFACT).read_bytes())
    timed = analyse(done.netlist, TOP, part).measurement()
    measured = dataclasses.replace(plain.measurement, figures={
        **plain.measurement.figures, **done.figures.figures, **timed.figures,
    })  # fmt: skip
    old = read_run(run)
    one = dataclasses.replace(plain, measurement=measured)
    narrower = dataclasses.replace(plain.architecture, hidden=(DenseLayer(7, "3"),))
    (here / RUN).mkdir()
    with Store.open(here / RUN) as store:
        store.set_meta("study", old.study.to_toml())
        store.set_meta("task", old.task.to_json())
        store.put(dataclasses.replace(one, artefacts={**plain.artefacts, yosys.ARTEFACT: netlist}))
        store.put(dataclasses.replace(one, architecture=narrower))
    shutil.copytree(run / "artifacts", here / RUN / "artifacts")
    return here


@pytest.fixture
def candidate(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return next(record for record in read_run(RUN).records if yosys.ARTEFACT in record.artefacts)


def test_readings_are_stored_and_show_how_far_off_the_search_was(tools, candidate, capsys):
    name = f"synthesized:{candidate.digest[:10]}"
    assert main(["measure", name, "--via", "vivado-routed,nextpnr", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(one["instrument"], one["status"]) for one in report["instruments"]] == [
        ("vivado-routed", "ok"), ("nextpnr", "ok"),
    ]  # fmt: skip
    power = report["instruments"][0]["figures"]["power"]
    assert power["details"]["activity"] == "activity.saif"  # of a simulation on digits, which the stand-in wants whole
    tools(vivado={"say": "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis'", "code": 1})
    assert main(["measure", name, "--via", "vivado"]) == 1
    run = read_run(RUN)
    assert [(digest, one.instrument, one.status) for digest, one in run.readings] == [
        (candidate.digest, "vivado-routed", "ok"),
        (candidate.digest, "nextpnr", "ok"),
        (candidate.digest, "vivado", "failed"),
    ]
    assert run.readings[-1][1].reason.startswith("Vivado has no licence for this")
    capsys.readouterr()
    assert main(["show", "synthesized", "--json"]) == 0
    found = {
        (one["quantity"], one["cheaper"]["tool"], one["better"]["tool"]): one
        for one in json.loads(capsys.readouterr().out)["instruments"]
    }
    cells = found["lut", "yosys", "Vivado"]
    assert (cells["designs"], cells["better"]["provenance"]) == (1, "routed")
    assert cells["median"] == pytest.approx(abs(candidate.measurement.value("lut") / 120 - 1))
    assert found["fmax", "codesign-timing", "nextpnr-xilinx"]["designs"] == 1
    # the stand-in's design has slack left: its Fmax is only a bound
    assert found["fmax", "codesign-timing", "Vivado"]["bounds"] == 1
    assert main(["report", "synthesized"]) == 0
    page = (RUN / "report.html").read_text()
    assert "<td>synthesized by yosys 0.70</td><td>routed by Vivado 2024.1</td>" in re.sub(r"<td [^>]*>", "<td>", page)
    assert main(["show", "synthesized", candidate.digest, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out.partition("\n")[2])["readings"]) == 3
    assert main(["show", "synthesized", candidate.digest]) == 0
    text = capsys.readouterr().out
    assert re.search(r"vivado-routed: lut 120 LUT, .*, fmax ≥ 117.647 MHz, .*\(routed by Vivado 2024.1, 2\d{3}-", text)
    assert re.search(r"vivado: failed: Vivado has no licence for this: ERROR: .*\n +ERROR: \[Common 17-345\]", text)
    assert "Vivado has no licence for this" in front_section(candidate)
    with Store.append(RUN) as store:  # as if Vivado had been asked to route it again, without its licence
        store.put_reading(candidate.digest, dataclasses.replace(run.readings[-1][1], instrument="vivado-routed"))
    assert main(["show", "synthesized", candidate.digest]) == 0
    text = capsys.readouterr().out
    failed = "failed since (its figures before that stand)"
    assert re.search(rf"vivado-routed: lut 120 LUT(.*\n)+vivado-routed: {re.escape(failed)}: Vivado has no", text)
    assert re.search(r"^vivado: failed: Vivado has no", text, re.MULTILINE)
    assert failed in front_section(candidate)
    assert len(read_run(RUN).distances) == len(run.distances)
    assert {one.design for _, one in run.readings} == {candidate.design}
    other = dataclasses.replace(run.readings[0][1], design="ab" * 32, instrument="elsewhere")
    with Store.append(RUN) as store:
        store.put_reading(candidate.digest, other)
    assert main(["show", "synthesized", candidate.digest]) == 0
    text = capsys.readouterr().out
    assert "readings of other trainings of this candidate, which are other hardware: 1, in --json" in text
    assert "elsewhere" not in text + front_section(candidate)


def test_power_by_assumed_activity_looks_like_it(tools, candidate, capsys):
    """In the terminal, in the report and in JSON, and what was wanted instead."""
    said = "Vivado found no net of the design but its clock in the simulated activity that it was given"
    name = f"synthesized:{candidate.digest[:10]}"

    def told():
        assert main(["show", "synthesized", candidate.digest]) == 0
        text = capsys.readouterr().out
        return re.search(r"^vivado: power .*", text, re.MULTILINE)[0], said in text, said in front_section(candidate)

    for behaviour, marks, missed in (
        ({}, "estimated, simulated activity", False),
        ({"matched": "0%   (1/1972)"}, "estimated, assumed activity", True),
    ):
        tools(vivado=behaviour)
        assert main(["measure", name, "--via", "vivado", "--json"]) == 0
        (reading,) = json.loads(capsys.readouterr().out)["instruments"]
        assert [one.startswith(said) for one in reading["warnings"]] == [True] * missed
        assert (reading["figures"]["power"]["details"]["activity"] == "assumed by the tool") is missed
        line, in_show, in_report = told()
        assert f"({marks} by Vivado report_power 2024.1, " in line
        assert (in_show, in_report) == (missed, missed)
        assert re.search(rf"\b{marks}\b", front_section(candidate))


def test_the_file_that_a_failure_names_stays(tools, candidate, capsys):
    report = Source(part=load_target("pynq-z1", None, 100.0).part.name)
    tools(vivado={"reports": {"utilization.rpt": report.utilization(boxes=("cdg_fifo",))}})
    assert main(["measure", f"synthesized:{candidate.digest[:10]}", "--via", "vivado"]) == 1
    reason = read_run(RUN).readings[-1][1].reason
    path = Path(reason.partition(":")[0])
    assert path == RUN / "builds" / f"{candidate.digest[:8]}-instruments" / "vivado" / "utilization.rpt"
    assert "cdg_fifo" in path.read_text()


def front_section(candidate):
    """What the report says of the candidate, as if it were on the front, without tags."""
    return re.sub(r"<[^>]+>", " ", report_instruments.instruments(read_run(RUN), candidate))


def test_a_candidate_beside_processors(candidate, fresh_board, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    name = f"synthesized:{candidate.digest[:10]}"
    assert main(["measure", name, "--via", "c", "--submit", "x.json"]) == 2
    assert "--submit compares with --via vivado, vivado-routed or nextpnr, not with 'c'" in capsys.readouterr().err
    assert main(["measure", name, "--via", "c", "--out", str(tmp_path)]) == 0
    assert "C model -O3" in capsys.readouterr().out
    (test,) = (tmp_path / "instruments" / "c").glob("*_test.c")
    assert test.name == f"small_{candidate.digest[:8]}_test.c"
    assert main(["measure", name, "--via", "c", "--host", "xilinx@pynq"]) == 0
    fresh_board.ssh_says("ssh: connect to host pynq port 22: Connection refused")
    assert main(["measure", name, "--via", "c", "--host", "xilinx@pynq"]) == 2
    assert capsys.readouterr().err.endswith("Connection refused; the board runs no ssh server: is it booted?\n")
    assert main(["show", "synthesized", candidate.digest, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["latencies"]
    assert [line["on"] for line in found] == [
        *("FPGA", "C model -O2", "C model -O3", "C model -O3 -march=native", "C model -O3 on xilinx@pynq"),
    ]  # fmt: skip
    assert all(line["uj"] is None for line in found)
    assert main(["show", "synthesized", candidate.digest]) == 0
    text = capsys.readouterr().out
    assert "times the FPGA's" in text
    assert "tflite: missing: TensorFlow Lite runs Keras models only" in text  # this run has kept none
    assert "c on the board (xilinx@pynq): c_board " in text
    assert {one.instrument: one.host for _, one in read_run(RUN).readings if one.host} == {
        "c on the board": "xilinx@pynq"
    }
    section = front_section(candidate)
    assert "c on the board (xilinx@pynq)" in section
    assert "C model -O3 -march=native" in section
    assert "MHz, not run on a board" in section


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--via", "c", "--host", "virtual:pynq-z1"], "--host virtual:pynq-z1: a virtual board has no processor"),
        (["--via", "rtl"], "--via rtl says nothing new of synthesized:"),
        (
            ["--via", "rtl,vivado,hls"],
            "--via rtl,vivado,hls: hls4ml's HLS path is made of a model's file, not of",
        ),
        (["--via", "vivado", "--submit", "."], "cannot write .: it is a folder; give another --submit"),
        (["--via", "vivado", "--fit", "30", "--clock", "125"], "--fit, --clock: synthesized:"),
    ],
)
def test_what_cannot_be_asked_of_a_candidate(tools, candidate, capsys, more, message):
    assert main(["measure", f"synthesized:{candidate.digest[:10]}", *more]) == 2
    assert capsys.readouterr().err.startswith(f"codesign: error: {message}")


def test_a_candidate_without_a_netlist(tools, candidate, capsys):
    other = next(record for record in read_run(RUN).records if record.digest != candidate.digest)
    assert main(["measure", f"synthesized:{other.digest[:10]}", "--via", "vivado"]) == 2
    assert f"candidate {other.digest[:8]} has no netlist to measure: ok" in capsys.readouterr().err
    assert main(["measure", "synthesized:nobody", "--via", "vivado"]) == 2
    assert "no candidate 'nobody' in runs/synthesized" in capsys.readouterr().err


def test_what_may_be_sent_holds_numbers_and_names_of_tools_and_parts_only(tools, tmp_path, capsys, monkeypatch):
    """Of a model with a telling name in a telling place; every text in the record is one of a closed set."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "secret-project"
    place.mkdir()
    path = saved(small(), place / "patient-classifier.h5")
    behaviour = {"via": ["--via", "vivado,vivado-routed", "--submit", "out.json"], "pace": ["--folding", "8"]}
    assert main(["measure", str(path), *behaviour["pace"], *behaviour["via"]]) == 0
    text = Path("out.json").read_text()
    for told in ("patient", "secret", "dense", "logits", "act", str(tmp_path), getpass.getuser(), socket.gethostname()):
        assert told.lower() not in text.lower().replace("activity", ""), told
    record = json.loads(text)
    assert set(record) == {
        "format", "codesign", "part", "family", "speed_grade", "clock_mhz", "netlist", "critical_path", "instruments",
    }  # fmt: skip
    assert record["part"] == "xc7z020clg400-1"
    assert list(record["instruments"]) == ["rtl", "vivado", "vivado-routed"]
    assert record["instruments"]["vivado"]["lut"]["value"] == 120
    assert record["instruments"]["rtl"]["lut"]["value"] > 0
    assert record["instruments"]["vivado"]["power"]["details"]["activity"] == "assumed by the tool"
    assert "csim_mismatches" not in text
    allowed = re.compile(
        r"(yosys|Vivado( report_power)?|verilator|codesign-timing|LUT|FF|CARRY\d?|BRAM36|DSP|URAM|MHz|ns|W|cycles|"
        r"bits|out of context|assumed by the tool|synthesized|routed|modelled|simulated|estimated|xc7|-1|"
        r"xc7z020clg400-1|[\d.+-]*|\d+\+[0-9a-f]{6})"  # the last: version and fit of the timing model
    )
    assert {told for told in texts(record) if not allowed.fullmatch(told)} == set()


def texts(values):
    """All strings that are values, at any depth."""
    if isinstance(values, str):
        return [values]
    inner = values.values() if isinstance(values, dict) else values if isinstance(values, list) else []
    return [text for value in inner for text in texts(value)]


def test_a_part_of_the_users_own_has_no_name_in_it(folder, candidate):
    from codesign.build_subject import Buildable

    run = read_run(RUN)
    netlist = ArtifactStore(run.folder).path(candidate.artefacts[yosys.ARTEFACT])
    built = Implementation(Buildable.stored(run, candidate).design, candidate.measurement, netlist)
    own = Part("customer-x-prototype", "xc7", "-1", run.task.target.part.resources)
    found = submission(built, Target(own, 100.0), [])
    assert (found["part"], found["family"]) == ("", "xc7")
    assert "customer" not in json.dumps(found)
    assert sum(found["critical_path"].values()) >= 2
    assert all(re.fullmatch(r"[A-Z0-9_]+|port", cell) for cell in found["critical_path"])


@pytest.mark.parametrize(
    ("via", "path", "message"),
    [
        ("rtl,hls", "x.json", "--submit compares with --via vivado, vivado-routed or nextpnr, not with 'rtl,hls'"),
        ("vivado", ".", "cannot write .: it is a folder; give another --submit"),
        ("vivado", "", "cannot write .: it is a folder; give another --submit"),
        ("vivado", "/nodir/x.json", "cannot write /nodir/x.json: there is no folder /nodir; give another --submit"),
    ],
)
def test_a_record_that_would_not_be_written_is_refused_before_the_work(tools, capsys, via, path, message):
    tools()
    assert main(["measure", "none.h5", "--via", via, "--submit", path]) == 2
    assert message in capsys.readouterr().err


def test_a_record_without_a_figure_to_compare_with_is_not_written(tools, candidate, tmp_path, capsys):
    name, path = f"synthesized:{candidate.digest[:10]}", tmp_path / "x.json"
    tools(vivado={"say": "ERROR: [Synth 8-439] module 'x' not found", "code": 1})
    assert main(["measure", name, "--via", "vivado", "--submit", str(path)]) == 2
    said = capsys.readouterr()
    assert f"{path} is not written, as no other instrument gave figures to compare with: vivado: Vivado e" in said.err
    assert "vivado: Vivado ended with code 1" in said.out, "what was measured is shown all the same"
    assert not path.exists()
    tools()
    assert main(["measure", name, "--via", "vivado", "--submit", str(path)]) == 0
    assert set(json.loads(path.read_text())["instruments"]) == {"rtl", "vivado"}


def test_statistics_of_a_netlist_by_hand():
    def cell(kind, **pins):
        outputs = {"O", "Q"}
        return {
            "type": kind,
            "port_directions": {pin: "output" if pin in outputs else "input" for pin in pins},
            "connections": {pin: [bit] for pin, bit in pins.items()},
        }

    module = {
        "ports": {"x": {"direction": "input", "bits": [2, 3]}, "y": {"direction": "output", "bits": [9]}},
        "cells": {
            "a": cell("LUT2", I0=2, I1=3, O=4),
            **{f"f{i}": cell("FDRE", C=1, D=4, Q=10 + i) for i in range(5)},
            "b": cell("LUT2", I0=10, I1="1", O=9),
        },
    }
    assert statistics(module) == {
        "cells": {"FDRE": 5, "LUT2": 2},
        "input_bits": 2,
        "output_bits": 1,
        "nets": 7,
        "fanout": {"1": 1, "2": 0, "4": 1, "8": 0, "16": 0, "32": 0},
    }
