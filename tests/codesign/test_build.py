"""``codesign build`` on a stored candidate: with a stand-in for Vivado that writes what Vivado would, and without."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from analytic_evaluation import describe, figure
from networks import random_graph

from boards.bundle import read_bundle
from boards.catalogue import load_target
from codesign import vivado
from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.artifacts import ArtifactStore
from codesign.build import build
from codesign.build_subject import Buildable
from codesign.cli import main
from codesign.errors import RunError, ToolMissingError, ToolRunError
from codesign.files import alone_in
from codesign.measurement import Measurement, Provenance
from codesign.record import Record
from codesign.run import read_run
from codesign.store import Store
from codesign.study import parse_study
from hw.design import design
from hw.graph import Graph
from hw.host_format import HostFormat
from hw.measure.delays import DelayModel
from hw.measure.optional_tools import VIVADO

ROOT = Path(__file__).resolve().parents[2]
BOARDS = ROOT / "tests" / "boards"
WIDTHS = [64, 8, 10]


def store_run(folder: Path, target: str, mode: str = "parallel") -> Record:
    """A run ``runs/small`` with one candidate, of which everything is stored as a search does."""
    study = parse_study(f'[study]\nname = "small"\n[target]\n{target}\n', "x")
    place = load_target(study.target.board, study.target.part, study.target.clock_mhz)
    task = dataclasses.replace(describe(study), target=place)
    hardware = Hardware(mode, 1 if mode == "parallel" else 16)
    graph = random_graph(3, WIDTHS, "3")
    built = design(graph, hardware, DelayModel.for_part(task.target.part), 8.8)
    run = folder / "runs" / "small"
    artefacts = ArtifactStore(run)
    described = {"bits": 4, "signed": False, "frac": 4, "offset": [0.0] * 64, "gain": [16.0] * 64}
    content = {
        "graph.json": graph.to_json(), "rtl.json": dict(built.files), "design.json": built.schedule(),
        "input_format.json": described,
    }  # fmt: skip
    figures = {"val_error": 0.1, "latency_cycles": built.latency_cycles, "lut": 900, "fmax": 120}
    record = Record(
        Architecture(64, 10, 4, (DenseLayer(8, "3"),), True, hardware),
        "ok",
        measurement=Measurement({name: figure(value, "") for name, value in figures.items()}),
        artefacts={name: artefacts.put(json.dumps(values).encode()) for name, values in content.items()},
    )
    run.mkdir(parents=True, exist_ok=True)
    with Store.open(run) as store:
        store.set_meta("study", study.to_toml())
        store.set_meta("task", task.to_json())
        store.put(record)
    return record


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A folder with the run ``small``; no Vivado is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VIVADO.setting, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "no-vivado-here"))
    return store_run(tmp_path, 'board = "pynq-z1"')


@pytest.fixture
def behave(stored, tmp_path, monkeypatch):
    """Put a stand-in for Vivado on PATH, and say how it behaves."""
    pytest.importorskip("tkinter", reason="needs a Tcl interpreter: Python's tkinter")
    program = tmp_path / "bin" / "vivado"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {BOARDS / "vivado_standin.py"} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))

    def set_behaviour(**behaviour):
        monkeypatch.setenv("STANDIN", json.dumps(behaviour))

    set_behaviour()
    return set_behaviour


def built_folder(record, target):
    return Path("runs/small/builds") / f"{record.digest[:8]}-{target}"


def test_without_vivado_it_says_what_works_instead(stored, capsys):
    assert main(["build"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "codesign: error: Vivado was not found: no program 'vivado' is on PATH; set CODESIGN_VIVADO to its path, or "
        "build without it: --dry-run (its script and sources), --target ip, --target rtl\n"
    )
    assert not Path("runs/small/builds").exists()


def test_a_setting_that_names_no_program(stored, monkeypatch):
    monkeypatch.setenv(VIVADO.setting, "/opt/Vivado/2024.1")
    with pytest.raises(
        ToolMissingError, match=r"^Vivado was not found: CODESIGN_VIVADO = '/opt/Vivado/2024.1' is no prog"
    ):
        vivado.find_vivado()


def test_the_setting_goes_before_path(behave, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert vivado.find_vivado() == tmp_path / "bin" / "vivado"
    monkeypatch.setenv(VIVADO.setting, str(other))
    assert vivado.find_vivado() == other


def test_a_dry_run_writes_everything_and_runs_nothing(stored, capsys):
    assert main(["build", "small", "--dry-run"]) == 0
    out = capsys.readouterr().out
    folder = built_folder(stored, "bitstream") / "vivado"
    assert f"all that Vivado needs is in {folder}: vivado -mode batch -source build.tcl" in out
    assert "clock: 100 MHz\n" in out
    script = (folder / "build.tcl").read_text()
    sources = re.findall(r"read_verilog (?:-sv )?(rtl/\S+)", script)
    assert sources
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {"build.tcl", *sources}
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["build", "small", "--dry-run"]) == 0
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_script_of_a_real_design_is_taken_by_the_stand_in(behave, capsys):
    assert main(["build"]) == 0
    out, _ = capsys.readouterr()
    assert re.search(r" lut +4,321 +LUT +routed ", out)
    assert re.search(r"power +1.665 +W +estimated ", out)
    (path,) = Path("runs/small/builds").glob("*/*.zip")
    assert f"bundle: {path}\n" in out


def test_the_bundle_holds_what_a_board_needs(behave, stored):
    run = read_run(Path("runs/small"))
    phases = []
    built = build(Buildable.stored(run, stored), "bitstream", phase=phases.append)
    assert phases == [
        *("sources", "block design", "generation", "synthesis", "placement", "routing", "reports", "bitstream")
    ]
    bundle = read_bundle(built.bundle)
    stem = bundle.manifest["stem"]
    own = {name for name in bundle.files if not name.startswith(("codesign_board/", "rtl/"))}
    assert own == {
        *(f"{stem}.bit", f"{stem}.hwh", "metrics.json", "golden/inputs.npy", "golden/outputs.npy", "__main__.py")
    }
    assert {"codesign_board/server.py", "codesign_board/host_format.py"} <= set(bundle.files)
    rtl = {name.removeprefix("rtl/"): data.decode() for name, data in bundle.files.items() if name.startswith("rtl/")}
    assert rtl == dict(Buildable.stored(run, stored).core.files)
    assert bundle.manifest["simulation_only"] is False
    assert built.bundle.name == f"{stem}.zip"
    told = {key: bundle.manifest[key] for key in ("board", "part", "clock_mhz", "asked_clock_mhz", "candidate")}
    assert told == {
        "board": "pynq-z1", "part": "xc7z020clg400-1", "clock_mhz": 100.0, "asked_clock_mhz": 100.0,
        "candidate": stored.digest,
    }  # fmt: skip
    assert bundle.manifest["addresses"] == {"dma": 0x4000_0000, "accelerator": 0x4001_0000}
    assert re.fullmatch(r"[0-9a-f]{32}", bundle.manifest["build_id"])
    words = [bundle.manifest["registers"][f"build_id_{index}"]["value"] for index in range(4)]
    assert "".join(f"{word:08x}" for word in words) == bundle.manifest["build_id"]
    graph = Graph.from_json(json.loads(ArtifactStore(run.folder).get(stored.artefacts["graph.json"])))
    inputs, outputs = (
        np.load(io.BytesIO(bundle.files[f"golden/{name}.npy"]), allow_pickle=False) for name in ("inputs", "outputs")
    )
    assert len(inputs) == 256
    assert np.array_equal(graph.run(inputs.astype(np.int64)), outputs)
    layout = HostFormat.from_json(bundle.manifest["host_format"])
    assert layout.encode(inputs).shape == (256, layout.input_words)
    assert bundle.manifest["graph"] == graph.digest()


def test_every_figure_says_where_it_comes_from(behave, stored):
    built = build(Buildable.stored(read_run(Path("runs/small")), stored), "bitstream")
    figures = read_bundle(built.bundle).manifest["figures"]
    assert Measurement.from_json(figures["build"]) == built.figures
    assert figures["candidate"]["lut"]["provenance"] == "synthesized"
    found = built.figures.figures
    assert (found["lut"].value, found["accelerator_lut"].value, found["bram"].value) == (4321, 1234, 2.5)
    assert (found["setup_slack"].value, found["hold_slack"].value) == (0.731, 0.021)
    assert {name for name, item in found.items() if item.provenance is not Provenance.ROUTED} == {"power"}
    assert found["power"].provenance is Provenance.ESTIMATED
    assert {item.version for item in found.values()} == {"2024.1"}


def test_the_same_candidate_gives_the_same_bundle(behave, stored, tmp_path):
    run = read_run(Path("runs/small"))
    first = build(Buildable.stored(run, stored), "bitstream").bundle.read_bytes()
    assert build(Buildable.stored(run, stored), "bitstream").bundle.read_bytes() == first
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    again = store_run(Path(), 'board = "pynq-z1"')
    assert build(Buildable.stored(read_run(Path("runs/small")), again), "bitstream").bundle.read_bytes() == first


def test_figures_of_reports_that_a_vivado_wrote(behave, stored, shared_data):
    """Reports of routed 7z020 designs, timing at 10 ns by Vivado 2024.1, all the way into the bundle."""
    folder = shared_data / "vendor_reports"
    names = {
        "timing": "timing_routed_7z020clg400_v2024.1_met", "power": "power_routed_7z020clg400_v2020.2",
        "utilization": "util_placed_7z020clg400_v2020.2_a", "accelerator": "util_placed_7z020clg400_v2020.1_adder",
    }  # fmt: skip
    behave(reports={kind: str(folder / f"{name}.rpt") for kind, name in names.items()})
    found = build(Buildable.stored(read_run(Path("runs/small")), stored), "bitstream").figures
    assert (found.value("lut"), found.value("ff"), found.value("accelerator_lut")) == (501, 607, 153)
    assert (found.value("setup_slack"), found.value("hold_slack"), found.value("power")) == (2.123, 0.069, 1.665)


def test_timing_that_is_not_met_is_an_error_and_leaves_no_bundle(behave, stored, shared_data, capsys):
    report = shared_data / "vendor_reports" / "timing_routed_7z020clg400_v2020.1_fails_setup.rpt"
    behave(reports={"timing": str(report)})
    assert main(["build"]) == 1
    err = capsys.readouterr().err
    assert (
        "timing is not met at 100 MHz: slack of setup -2.319 ns, hold 0.21 ns, pulse width 3.5 ns; no bitstream" in err
    )
    assert "reports/timing.rpt; pick another candidate or a lower target.clock_mhz" in err
    folder = built_folder(stored, "bitstream")
    assert not [*folder.glob("*.zip"), *folder.glob("vivado/*.bit"), *folder.glob("vivado/*.hwh")]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ({"crash": "placement"}, "Vivado ended with code 139"),
        ({"hang": "routing"}, "Vivado exceeded its limit of 3 s; its log is runs/small/builds/"),
        ({"reports": {"timing": "/dev/null"}}, "report_timing_summary has no summary of the form that is known here"),
        ({"reports": {"power": "/dev/null"}}, "report_power has no row"),
        ({"forget": "*.hwh"}, "Vivado ended without an error but wrote no cdg_"),
        ({"forget": "metrics.json"}, "metrics.json is not what the build writes: FileNotFoundError"),
    ],
)
def test_what_goes_wrong_in_vivado_is_told(behave, stored, monkeypatch, behaviour, message):
    monkeypatch.setattr(vivado, "BUILD_SECONDS", 3.0)
    behave(**behaviour)
    with pytest.raises(ToolRunError, match=re.escape(message)):
        build(Buildable.stored(read_run(Path("runs/small")), stored), "bitstream")
    assert not list(Path("runs/small/builds").rglob("*.zip"))


def test_what_an_earlier_build_left_does_not_pass_for_this_one(behave, stored):
    run = read_run(Path("runs/small"))
    build(Buildable.stored(run, stored), "bitstream")
    behave(crash="sources")
    with pytest.raises(ToolRunError):
        build(Buildable.stored(run, stored), "bitstream")
    folder = built_folder(stored, "bitstream") / "vivado"
    assert not [*folder.glob("*.bit"), *folder.glob("*.hwh"), *folder.glob("metrics.json")]


def test_two_builds_of_one_candidate_take_turns(behave, stored):
    folder = built_folder(stored, "bitstream")
    with alone_in(folder, "something is done"), pytest.raises(RunError) as refused:
        build(Buildable.stored(read_run(Path("runs/small")), stored), "bitstream")
    assert str(refused.value) == (
        f"{stored.digest[:8]} is being built in {folder} by another process; wait for it, then run that again"
    )
    assert build(Buildable.stored(read_run(Path("runs/small")), stored), "bitstream").bundle is not None


@pytest.mark.parametrize("mode", ["parallel", "folded"])
def test_the_ip_holds_its_sources_and_what_a_host_must_know(tmp_path, monkeypatch, mode):
    monkeypatch.chdir(tmp_path)
    record = store_run(tmp_path, 'part = "xczu3eg"', mode)
    assert main(["build", "--target", "ip"]) == 0
    folder = built_folder(record, "ip")
    named = set(re.findall(r"<spirit:name>(src/[^<]+)<", (folder / "component.xml").read_text()))
    assert named == {str(path.relative_to(folder)) for path in (folder / "src").iterdir()}
    described = json.loads((folder / "accelerator.json").read_text())
    assert (described["board"], described["figures"]["candidate"]["lut"]["value"]) == (None, 900)
    assert f"cdg_accelerator_{described['build_id'][:8]}" in (folder / "component.xml").read_text()


def test_plain_rtl(stored):
    assert main(["build", "--target", "rtl", "--pick", "lowest-error"]) == 0
    folder = built_folder(stored, "rtl")
    assert all((folder / name).is_file() for name in (folder / "files.f").read_text().split())
    assert (folder / "golden" / "inputs.hex").is_file()


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        (
            'part = "xczu3eg"',
            ["--dry-run"],
            "a bitstream is made for a board, but runs/small is for the bare part x",
        ),
        (
            'board = "mine.toml"',
            ["--dry-run"],
            "board 'mine.toml' has no [ps] table, so its clock is not known; add one (docs",
        ),
        (
            'board = "pynq-z1"',
            ["--target", "ip", "--dry-run"],
            "--dry-run is for a bitstream; --target ip runs nothing anyw",
        ),
        (
            'board = "pynq-z1"',
            ["--pick", "x"],
            "no candidate 'x' in runs/small; --pick takes knee, lowest-error, lowest-la",
        ),
    ],
)
def test_what_cannot_be_built(tmp_path, monkeypatch, capsys, target, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text('name = "mine"\ntitle = "Mine"\npart = "xc7z020"\nsource = "me"\n')
    store_run(tmp_path, target)
    assert main(["build", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"codesign: error: {message}")


def test_artefacts_that_do_not_fit_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = store_run(tmp_path, 'board = "pynq-z1"')
    run = read_run(Path("runs/small"))
    other = ArtifactStore(run.folder).put(json.dumps({"cdg_network.sv": "module cdg_network;\nendmodule\n"}).encode())
    changed = Record(**{**record.__dict__, "artefacts": {**record.artefacts, "rtl.json": other}})
    with pytest.raises(RunError, match=r"are not usable: ValueError\('the RTL is not that of the schedule'\)$"):
        build(Buildable.stored(run, changed), "rtl")


def test_a_clock_that_the_board_cannot_make_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    store_run(tmp_path, 'board = "zcu104"\nclock_mhz = 130')
    assert main(["build", "--dry-run"]) == 0
    assert "clock: 124.999 MHz (asked for: 130 MHz, which its PLL cannot make)" in capsys.readouterr().out
