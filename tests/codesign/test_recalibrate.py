"""The timing model fitted to what is in stores: routed periods that a known model made, of netlists made by hand."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "hw"))
from test_calibrate import chain

from codesign import recalibrate
from codesign.architecture import Architecture, DenseLayer, Hardware
from codesign.artifacts import ArtifactStore
from codesign.board_loop.result import BoardResult
from codesign.errors import DataError, InputError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.reading import Reading
from codesign.record import Final, Record
from codesign.retraining import Retraining
from codesign.run import open_for_search, read_run
from codesign.store import Store
from codesign.study import parse_study
from codesign.target import Part, Target
from codesign.task import Task
from hw.design import TOP
from hw.measure import calibrate, timing
from hw.measure.delays import grade_factor
from hw.measure.timing import DelayModel, StaticTiming
from hw.measure.yosys import ARTEFACT

ULTRASCALE = Part("xczu7ev-ffvc1156-2-e", "xcup", "-2", {"lut": 230_400, "ff": 460_800, "bram": 312, "dsp": 1728})
KNOWN = {"net_base": 0.22, "net_per_fanout": 0.05}
SHAPES = [(1, 2), (3, 1), (2, 7), (6, 3), (1, 40), (4, 12)]


def made(folder, part=ULTRASCALE, name="routed", more=""):
    """A run with a candidate for each shape, all with netlists; their digests and true Fmax."""
    run = folder / "runs" / name
    study = parse_study(f'[study]\nname = "{name}"\n[target]\nboard = "zcu104"\n{more}', "x")
    task = Task(8, ("a", "b"), 0.5, 10, 10, Target(part, 300.0, "zcu104"), "0" * 64)
    true = {}
    with open_for_search(run, study, task) as store:
        for units, shape in enumerate(SHAPES, 2):
            module = chain("x", *shape).timing.graph.module
            model = DelayModel.for_part(part)
            timing = StaticTiming(module, model.cells)
            known = dataclasses.replace(model, size=timing.graph.size, **KNOWN)
            content = gzip.compress(json.dumps({"modules": {TOP: module}}).encode())
            network = Architecture(8, 2, 1, (DenseLayer(units, "ternary"),), True, Hardware("parallel"))
            figures = {key: Figure(1.0, "", Provenance.SYNTHESIZED, "yosys", "1")
                       for key in ("val_error", "latency_cycles", "lut", "ff", "bram", "dsp", "fmax")}  # fmt: skip
            artefacts = {ARTEFACT: ArtifactStore(run).put(content), "rtl.json": f"{units:064}"}
            record = Record(network, "ok", measurement=Measurement(figures), artefacts=artefacts, index=units)
            store.put(record)
            true[record.digest] = 1000.0 / timing.period(known)
    return run, true


def routed(mhz, tool="Vivado", **details):
    return Measurement({"fmax": Figure(mhz, "MHz", Provenance.ROUTED, tool, "1", details)})


def keep(run, readings, boards=()):
    with Store.append(run) as store:
        for digest, figures in readings:
            store.put_reading(digest, Reading("vivado-routed", "ok", figures, 1.0))
        for digest, figures in boards:
            store.put_board(BoardResult(digest, "b", "2026-01-02", figures, "timing", "missed"))


def test_a_family_is_calibrated_by_what_a_search_had_routed(tmp_path, monkeypatch):
    """The networks alone, not in their overlays; from then on its figures say their error, at that grade only."""
    run, true = made(tmp_path)
    *most, last = true
    keep(run, [(digest, routed(true[digest])) for digest in most], [(last, routed(0.5 * true[last]))])
    found = recalibrate.refit([read_run(run)])
    assert (found.tool, found.calibration.designs) == ("Vivado", 5)
    assert found.calibration.coefficients == pytest.approx(list(KNOWN.values()), rel=0.03)
    assert found.calibration.error()["median"] < 0.01
    fitted = tmp_path / "fitted.toml"
    fitted.write_text(calibrate.FITTED.read_text())
    calibrate.write(
        {"xcup": calibrate.section(found.calibration, grade_factor(found.part), "Vivado", "a test")}, fitted
    )
    after = tomllib.loads(fitted.read_text())["xcup"]
    assert after["net"]["base_ns"] == pytest.approx(KNOWN["net_base"] / 0.85, rel=0.03)
    assert (after["error"]["grade"], after["error"]["designs"]) == ("-2", 5)
    from hw.measure import delays

    table = {name: delays._table(name) for name in ("delays.toml",)} | {
        "fitted.toml": tomllib.loads(fitted.read_text())
    }
    monkeypatch.setattr(delays, "_table", table.__getitem__)
    before = timing.version(DelayModel.for_part(ULTRASCALE))
    delays._model.cache_clear()
    try:
        assert DelayModel.for_part(ULTRASCALE).calibrated
        assert re.fullmatch(rf"{timing.VERSION}\+[0-9a-f]{{6}}", before)
        assert timing.version(DelayModel.for_part(ULTRASCALE)) != before
        assert DelayModel.for_part(ULTRASCALE).net_base == pytest.approx(KNOWN["net_base"], rel=0.03)
        assert not DelayModel.for_part(dataclasses.replace(ULTRASCALE, speed_grade="-1")).calibrated
    finally:
        monkeypatch.undo()
        delays._model.cache_clear()


def test_the_netlist_is_that_of_the_training_that_was_measured(tmp_path):
    """Of candidates of which the search's hardware was routed and then, trained again, that of other weights."""
    run, true = made(tmp_path, more="[final]\nseeds = 1\n")
    records = read_run(run).records
    with Store.append(run) as store:
        for record, other in zip(records, (*records[1:], records[0]), strict=True):
            again = dataclasses.replace(record, artefacts={**other.artefacts, "rtl.json": f"a{other.design[1:]}"})
            store.put_retraining(Retraining(1, again, Final(record.digest, Measurement({}))))
            for built, period in ((record, true[record.digest]), (again, true[other.digest])):
                said = Reading("vivado-routed", "ok", routed(period), 1.0, design=built.design)
                store.put_reading(record.digest, said)
            # as stores from before had it: of which of the two designs is not known
            store.put_reading(record.digest, Reading("vivado-routed", "ok", routed(1.0), 1.0))
    found = recalibrate.refit([read_run(run)]).calibration
    assert (found.designs, found.error()["median"]) == (2 * len(records), pytest.approx(0.0, abs=0.01))


def test_the_better_tool_where_it_has_enough_and_never_both(tmp_path):
    run, true = made(tmp_path, dataclasses.replace(ULTRASCALE, speed_grade="-1"))
    keep(run, [(digest, routed(0.5 * mhz, "nextpnr-xilinx")) for digest, mhz in true.items()])
    keep(run, [(digest, routed(mhz)) for digest, mhz in list(true.items())[:3]])
    found = recalibrate.refit([read_run(run)])
    assert (found.tool, found.calibration.designs) == ("nextpnr-xilinx", 6)
    keep(run, [(digest, routed(mhz)) for digest, mhz in list(true.items())[3:]])
    assert recalibrate.refit([read_run(run)]).tool == "Vivado"


def test_nextpnr_says_nothing_of_another_speed_grade_than_its_own(tmp_path):
    run, true = made(tmp_path)
    keep(run, [(digest, routed(mhz, "nextpnr-xilinx")) for digest, mhz in true.items()])
    with pytest.raises(DataError, match="meet it, 6 of another speed grade than -1, which nextpnr-xilinx times"):
        recalibrate.refit([read_run(run)])


def test_bounds_and_figures_that_are_not_routed_are_not_enough(tmp_path):
    run, true = made(tmp_path)
    digests = list(true)
    estimated = Measurement({"fmax": Figure(90.0, "MHz", Provenance.SYNTHESIZED, "Vivado", "1")})
    keep(run, [(digests[0], estimated), (digests[1], routed(true[digests[1]]))])
    keep(run, [(digest, routed(300.0, lower_bound=True)) for digest in digests[2:]])
    message = (
        r"^too few routed designs \(Vivado: 1 miss their clock, 4 only meet it; nextpnr-xilinx: 0 miss their clock, "
        r"0 only meet it\): 4 that miss the clock asked for are needed; route more candidates with python -m codesign "
        r"measure RUN:ID --via nextpnr, of a run whose target.clock_mhz they miss$"
    )
    with pytest.raises(DataError, match=message):
        recalibrate.refit([read_run(run)])


def test_why_designs_cannot_be_used_is_said(tmp_path):
    """A clock of 0, and a design whose netlist is not there."""
    run, true = made(tmp_path)
    first, second, *_ = true
    keep(run, [(first, routed(0.0)), (second, routed(80.0))])
    with Store.append(run) as store:
        store.put_reading(second, Reading("vivado-routed", "ok", routed(90.0), 1.0, design="ab" * 32))
    counts = "Vivado: 1 miss their clock, 0 only meet it, 1 without a clock, 1 whose netlist is not kept;"
    with pytest.raises(DataError, match=counts):
        recalibrate.refit([read_run(run)])


def test_the_source_says_that_a_version_is_untested(tmp_path):
    run, true = made(tmp_path)
    (first, mhz), *others = true.items()
    keep(
        run, [(first, routed(mhz, untested="nobody has tried it")), *((digest, routed(mhz)) for digest, mhz in others)]
    )
    net = recalibrate.refit([read_run(run)]).sections()["net"]
    assert net["source"] == "fitted to 6 candidates of searches, routed by Vivado 1 (untested), 1"
    assert net["tool"] == "Vivado"


@pytest.mark.parametrize(
    ("tool", "in_force", "told"),
    [
        ("Vivado", None, ""),
        ("Vivado", ("Vivado", 6), ""),
        (
            "Vivado",
            ("Vivado", 7),
            "6 designs routed by Vivado do not replace the 7 by Vivado in force: 7 do; nothing is",
        ),
        (
            "Vivado",
            ("nextpnr-xilinx", 2),
            "6 designs routed by Vivado do not replace the 2 by nextpnr-xilinx in force: 8",
        ),
        ("Vivado", (None, 7), "6 designs routed by Vivado do not replace the 7 by Vivado in force: 7 do; nothing is"),
        ("nextpnr-xilinx", ("nextpnr-xilinx", 6), ""),
        (
            "nextpnr-xilinx",
            ("Vivado", 2),
            "the model in force is fitted to what Vivado routed, which is worth more than",
        ),
    ],
)
def test_what_may_replace_the_fit_in_force(tmp_path, monkeypatch, tool, in_force, told):
    run, true = made(tmp_path, dataclasses.replace(ULTRASCALE, speed_grade="-1"))
    keep(run, [(digest, routed(mhz, tool)) for digest, mhz in true.items()])
    kept = {"net": {"tool": in_force[0]} if in_force and in_force[0] else {}}
    kept |= {"error": {"designs": in_force[1]}} if in_force else {}
    monkeypatch.setattr(recalibrate, "fitted_nets", lambda family: kept)
    found = recalibrate.refit([read_run(run)])
    if told:
        with pytest.raises(DataError, match=f"^{re.escape(told)}"):
            found.sections()
    else:
        assert found.sections()["net"]["tool"] == tool


def test_a_fit_that_orders_designs_worse_is_not_kept(tmp_path):
    """Although its median error is less."""
    run, true = made(tmp_path)
    keep(run, [(digest, routed(mhz)) for digest, mhz in true.items()])
    found = recalibrate.refit([read_run(run)])
    tau = found.calibration.error()["kendall_tau"]
    assert tau == 1.0
    first, second, *others = sorted(found.calibration.left_out, key=lambda one: one.routed_ns)
    swapped = [
        dataclasses.replace(first, predicted_ns=second.predicted_ns),
        dataclasses.replace(second, predicted_ns=first.predicted_ns),
    ]
    worse = dataclasses.replace(found.calibration, left_out=(*swapped, *others))
    assert worse.error()["median"] < calibrate.errors(found.in_force)["median"]
    with pytest.raises(
        DataError, match=r"^the fit orders designs worse: .* its Kendall tau is 0\.87, that of the .* 1\.00"
    ):
        dataclasses.replace(found, calibration=worse).sections()


def test_runs_of_different_parts(tmp_path):
    first, _ = made(tmp_path)
    second, _ = made(tmp_path, dataclasses.replace(ULTRASCALE, speed_grade="-1"), "other")
    message = r"^the runs are of different families or speed grades \(xcup -1, xcup -2\); give those of one$"
    with pytest.raises(InputError, match=message):
        recalibrate.refit([read_run(first), read_run(second)])


def test_command(tmp_path, monkeypatch, capsys):
    run, true = made(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["recalibrate", "routed"])
    assert recalibrate.main() == 2
    assert capsys.readouterr().err.startswith("error: too few routed designs (Vivado: 0 miss")
    keep(run, [(digest, routed(mhz)) for digest, mhz in true.items()])
    written = []
    monkeypatch.setattr(recalibrate, "write", written.append)
    assert recalibrate.main() == 0
    said = capsys.readouterr().out
    assert "Kendall tau 1.00" in said
    assert re.search(r"\nmodel in force, same designs: median \d+\.\d%, 90th percentile .*\nwritten to ", said)
    (sections,) = written
    assert sections["xcup"]["net"]["source"] == "fitted to 6 candidates of searches, routed by Vivado 1"


@pytest.mark.parametrize(
    ("mhz", "told", "shown"),
    [
        (lambda true, number: 200.0, "all 6 routed designs have the same Fmax, 200 MHz: how well a fit orders", ""),
        # what routing gave has nothing to do with the netlists: cells alone come nearest
        (lambda true, number: 1000.0 - number, "the fit has per_fanout_ns = 0: these designs do not", "in force"),
        (lambda true, number: true * (1.3, 0.75)[number % 2], "the fit is no better: of the same designs its", "force"),
    ],
)  # fmt: skip
def test_a_fit_that_is_no_better_is_not_kept(tmp_path, monkeypatch, capsys, mhz, told, shown):
    """The model in force stays, and nothing is said to be written."""
    monkeypatch.setitem(globals(), "KNOWN", {"net_base": 0.0962, "net_per_fanout": 0.0322})  # what is in force, at -2
    run, true = made(tmp_path)
    keep(run, [(digest, routed(mhz(fmax, number))) for number, (digest, fmax) in enumerate(true.items())])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["recalibrate", "routed"])
    before = calibrate.FITTED.read_bytes()
    assert recalibrate.main() == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {told}")
    assert shown in said.out
    assert "written to" not in said.out
    assert calibrate.FITTED.read_bytes() == before


@pytest.mark.parametrize(("arguments", "code", "said"), [([], 2, "required: RUN"), (["--help"], 0, "usage: python -m")])
def test_command_without_a_run(monkeypatch, capsys, arguments, code, said):
    monkeypatch.setattr(sys, "argv", ["recalibrate", *arguments])
    with pytest.raises(SystemExit) as caught:
        recalibrate.main()
    assert caught.value.code == code
    assert said in "".join(capsys.readouterr())
