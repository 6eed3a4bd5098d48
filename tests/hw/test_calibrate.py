"""The fit of the timing model: how well routed designs are predicted without being looked at, and sane beyond them."""

from __future__ import annotations

import gzip
import itertools
import random
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_timing import cell, netlist, register

from codesign.errors import DataError, StorageError
from codesign.target import Part
from hw.measure import calibrate, net_forms
from hw.measure.delays import FANOUT_MOST, DelayModel, effective_fanout, size_factor
from hw.measure.net_forms import FORMS, SHIPPED, Choice, Sample
from hw.measure.timing import StaticTiming

ROUTED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "timing"
ZYNQ = calibrate.REFERENCE


@pytest.fixture(scope="module")
def calibration() -> calibrate.Calibration:
    if not ROUTED.is_dir():
        pytest.skip(f"no routed designs in {ROUTED}: the model's error cannot be recomputed")
    return calibrate.calibrate(calibrate.load(ROUTED))


@pytest.mark.slow
def test_designs_that_neither_form_nor_fit_has_seen(calibration):
    """The bars are 5 %, 14 % and 0.85; what counts as size was chosen in view of these, as docs/proven.md says."""
    error = calibration.error()
    assert error["designs"] == 14
    assert error["median"] <= 0.05
    assert error["p90"] <= 0.14
    assert error["kendall_tau"] >= 0.85


@pytest.mark.slow
def test_what_is_shipped_is_what_was_chosen_and_fitted(calibration):
    assert calibration.form == SHIPPED
    shipped = DelayModel.for_part(ZYNQ)
    assert [shipped.net_base, shipped.net_per_fanout] == pytest.approx(calibration.coefficients, rel=0.02)
    error = calibration.error()
    for key in ("median", "p90", "worst", "kendall_tau"):
        assert shipped.error[key] == pytest.approx(error[key], abs=0.003)
    assert {key: shipped.error[key] for key in ("designs", "size", "grade")} == {
        "designs": 14, "size": [663, 6128], "grade": "-1",
    }  # fmt: skip


def test_critical_paths_of_a_grid_give_the_period_anywhere():
    """The largest of affine functions is what timing says, also between the grid's points and for other forms."""
    made = chain("x", 5, 9)
    for form in FORMS[:: len(FORMS) // 6]:
        for base, slope in ((0.31, 0.06), (0.11, 0.2)):
            model = replace(made.model, net_base=base, net_per_fanout=slope, knee=form.knee)
            scale = size_factor(made.timing.graph.size, form.size_exponent) / size_factor(0)
            scaled = replace(model, net_base=base * scale, net_per_fanout=slope * scale, size=0)
            timing = made.timing if form.sums_leave else net_forms._with_sums_in_slice(made.timing)
            assert made.predict(form, np.array([base, slope])) == pytest.approx(timing.period(scaled), abs=2e-3)


def chain(name: str, levels: int, pins: int, *, carry: bool = True) -> Sample:
    """LUTs one after the other, each driving ``pins`` pins, then a carry whose sum one register takes."""
    cells = {"first": register("x", 2)}
    for level in range(levels):
        cells[f"l{level}"] = cell("LUT1", I0=2 + level, O=3 + level)
        cells |= {f"g{level}_{pin}": register(3 + level, 1000 * (level + 1) + pin) for pin in range(pins - 1)}
    last = 2 + levels
    if carry:
        cells["c"] = cell("CARRY4", CI="0", CYINIT="0", DI=["0"] * 4, S=[last, "0", "0", "0"],
                          O=[91, 92, 93, 94], CO=["x"] * 4)  # fmt: skip
        last = 94
    cells["end"] = register(last, 99)
    return calibrate.sample(name, 1.0, netlist(cells)["modules"]["top"], ZYNQ)


def made_by(form, coefficients, noise=0.0) -> list[Sample]:
    """Designs whose periods a known model made."""
    lots = random.Random(5)
    shapes = [(1, 2), (3, 1), (2, 7), (6, 3), (1, 40), (4, 12), (2, 25)]
    designs = [chain(f"{levels}x{pins}", levels, pins) for levels, pins in shapes]
    return [
        replace(one, period_ns=one.predict(form, coefficients) * (1 + noise * lots.uniform(-1, 1))) for one in designs
    ]


def test_a_fit_recovers_coefficients_it_was_given():
    known = np.array([0.4, 0.08])
    assert net_forms.fit(made_by(SHIPPED, known)) == pytest.approx(known, rel=0.02)


def test_the_form_is_recovered_too_and_each_design_is_predicted_without_itself():
    form = next(form for form in FORMS if not form.sums_leave and form.knee == 8)
    samples = made_by(form, np.array([0.4, 0.08]))
    forms = [SHIPPED, form]
    assert Choice(samples, forms).best() == form
    wild = [*samples[:-1], replace(samples[-1], period_ns=9 * samples[-1].period_ns)]
    nested = Choice(wild, forms).nested()
    _, predicted = nested[wild[-1]]
    assert predicted == pytest.approx(samples[-1].period_ns, rel=0.02)  # nine times its own period it has not seen


def test_a_bound_only_counts_where_it_is_contradicted():
    known = np.array([0.4, 0.08])
    samples = made_by(SHIPPED, known)
    loose = replace(samples[0], period_ns=5 * samples[0].period_ns, at_most=True)
    assert net_forms.fit([*samples[1:], loose]) == pytest.approx(known, rel=0.02)
    tight = replace(samples[0], period_ns=0.5 * samples[0].period_ns, at_most=True)
    assert not np.allclose(net_forms.fit([*samples[1:], tight]), known, rtol=0.02)
    found = calibrate.calibrate([*samples[1:], loose], [SHIPPED])
    assert (found.designs, len(found.left_out), found.error()["designs"]) == (7, 6, 6)


def test_too_few_designs():
    samples = made_by(SHIPPED, np.array([0.4, 0.08]))[:4]
    bound = replace(samples[0], at_most=True)
    with pytest.raises(DataError, match=r"^3 routed designs with an Fmax of their own: a calibration needs 4 or more$"):
        calibrate.calibrate([bound, *samples[1:]])


def test_command_where_another_form_predicts_better(monkeypatch, capsys):
    other = next(form for form in FORMS if form != SHIPPED)
    fitted, written = calibrate.calibrate(made_by(SHIPPED, np.array([0.4, 0.08]))[:4], [other]), []
    monkeypatch.setattr(calibrate, "load", lambda folder: [])
    monkeypatch.setattr(calibrate, "calibrate", lambda samples: fitted)
    monkeypatch.setattr(calibrate, "write", written.append)
    monkeypatch.setattr(calibrate.sys, "argv", ["calibrate", "folder"])
    assert calibrate.main() == 2
    assert "by another form than the shipped one: " + other.words() in capsys.readouterr().err
    assert written == []


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.words())
def test_every_form_is_monotone_and_bounded_outside_what_was_fitted(form):
    pins = np.arange(0, 5000, dtype=float)
    seen = effective_fanout(pins, form.knee)
    assert np.all(np.diff(seen) >= 0)
    assert seen.min() >= 0
    assert seen.max() <= FANOUT_MOST
    sizes = [size_factor(size, form.size_exponent) for size in (0, 1, 500, 600, 6000, 16_000, 10**6, 10**9)]
    assert sizes == sorted(sizes)
    assert 0.1 < sizes[0] <= sizes[-1] < 5


@pytest.mark.parametrize("part", [ZYNQ, Part("p", "xcup", "-2LV", {})], ids=["xc7", "xcup"])
def test_more_of_anything_is_never_faster(part):
    """Levels, pins and size each from nothing to far beyond the fitted designs."""

    def period(levels, pins, size):
        made = chain("x", levels, pins)
        model = DelayModel.for_part(part, size)
        return StaticTiming(made.timing.graph.module, model.cells).period(model)

    for grown in (
        [period(levels, 3, 1000) for levels in (0, 1, 2, 10, 40)],
        [period(2, pins, 1000) for pins in (1, 2, 8, 31, 33, 60, 400)],
        [period(2, 3, size) for size in (0, 100, 1000, 10_000, 10**6, 10**8)],
    ):
        assert all(0 < before <= after < 100 for before, after in itertools.pairwise(grown)), grown
        assert grown[0] < grown[-1]


def test_calibration_data_that_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"routed\.csv not found: give the folder that holds it and netlists/$"):
        calibrate.load(tmp_path)
    (tmp_path / "routed.csv").write_text("name,period_median_ns\na01,6.0\n")
    with pytest.raises(DataError, match=r"a01\.json\.gz not found, but .*routed\.csv lists 'a01'$"):
        calibrate.load(tmp_path)


@pytest.mark.parametrize("row", ["a01,-6.0", "a01,none", "a01,nan", "a01", ",6.0"])
def test_a_row_without_name_or_period_is_named(tmp_path, row):
    (tmp_path / "routed.csv").write_text(f"name,period_median_ns\n{row}\n")
    with pytest.raises(DataError, match=r"routed\.csv:2: name .* each row needs a name and a period above 0 ns$"):
        calibrate.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b'{"modules": {}}' * 99)[:40], gzip.compress(b"[]"), b"no gzip"],
    ids=["cut short", "no netlist", "no gzip"],  # not from the bytes: gzip puts the time into them
)
def test_a_damaged_netlist_is_named(tmp_path, content):
    (tmp_path / "routed.csv").write_text("name,period_median_ns\na01,6.0\n")
    (tmp_path / "netlists").mkdir()
    (tmp_path / "netlists" / "a01.json.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"a01\.json\.gz is damaged, or no netlist of Yosys"):
        calibrate.load(tmp_path)


def test_what_is_written_is_at_the_reference_grade_and_leaves_other_families(tmp_path):
    path = tmp_path / "fitted.toml"
    path.write_text(calibrate.FITTED.read_text())
    before = tomllib.loads(path.read_text())
    found = calibrate.calibrate(made_by(SHIPPED, np.array([0.4, 0.08]), noise=0.02), [SHIPPED])
    calibrate.write({"xcup": calibrate.section(found, 0.8, "Vivado", 'of a "test"')}, path)
    after = tomllib.loads(path.read_text())
    assert after["xc7"] == before["xc7"]
    assert after["xcup"]["net"]["base_ns"] == pytest.approx(found.coefficients[0] / 0.8, abs=1e-4)
    assert (after["xcup"]["net"]["tool"], after["xcup"]["net"]["source"]) == ("Vivado", 'of a "test"')
    assert after["xcup"]["error"] == found.error()


def test_where_it_cannot_be_written(tmp_path):
    path = tmp_path / "fitted.toml"
    path.write_text("")

    class Refusing(type(path)):
        def write_text(self, text, **_):
            self.write_bytes(text[:3].encode())
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match=r"fitted\.toml: No space left on device; work from a checkout of codesign$"):
        calibrate.write({}, Refusing(path))
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("fitted.toml", "")]


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    path = tmp_path / "fitted.toml"
    path.write_text("[xc7.net]\nbase_ns = 0.2\n")
    with pytest.raises(DataError, match=r"^the fit cannot be kept: .*fitted\.toml is as it was$"):
        calibrate.write({"xcup": {"error": {"kendall_tau": float("nan")}}}, path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [
        ("fitted.toml", "[xc7.net]\nbase_ns = 0.2\n")
    ]


def test_designs_that_cannot_be_ordered():
    samples = made_by(SHIPPED, np.array([0.4, 0.08]))
    with pytest.raises(DataError, match=r"^all 7 routed designs have the same Fmax, 125 MHz: how well a fit orders"):
        calibrate.calibrate([replace(one, period_ns=8.0) for one in samples], [SHIPPED])
