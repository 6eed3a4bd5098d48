"""The readers of reports on real ones, whose figures were typed in by hand. Without that data it skips visibly."""

from __future__ import annotations

import gzip
import json
import re

import numpy as np
import pytest

from codesign.errors import ReportError
from hw.measure import hls_reports, vivado_reports

# of other figures of theirs, which no reader here is for
HANDOFFS = "pynq3.0.1_"


def pair(prefix, values):
    return dict(zip((f"{prefix}_min", f"{prefix}_max"), values or (None, None), strict=True))


def used(prefix, count):
    return {prefix: count and count.used, f"{prefix}_avail": count and count.available}


def utilization(path):
    found = vivado_reports.read_utilization(path)
    counts = {"lut": found.lut, "ff": found.ff, "bram_tiles": found.bram, "uram": found.uram, "dsp": found.dsp}
    values = {key: value for name, count in counts.items() for key, value in used(name, count).items()}
    plain = {"lut_logic": found.lut_logic, "lut_mem": found.lut_memory, "ramb36": found.ramb36, "ramb18": found.ramb18}
    assert bool(found.black_boxes) == ("blackbox" in path.name)
    return found.header, values | plain


def kernel(path):
    found = vivado_reports.read_kernel_utilization(path, "angular_spectrum")
    names = {"lut": "lut", "ff": "ff", "bram_tiles": "bram", "uram": "uram", "dsp": "dsp", "lut_mem": "lut_memory"}
    return found.header, {key: getattr(found, name) for key, name in names.items()}


def timing(path):
    found = vivado_reports.read_timing_summary(path)
    values = {"constraints_met": int(found.met)}
    pairs = (("wns", "tns"), ("whs", "ths"), ("wpws", "tpws"))
    for slack, (worst, sum_) in zip((found.setup, found.hold, found.pulse_width), pairs, strict=True):
        values |= {f"{worst}_ns": slack and slack.worst, f"{sum_}_ns": slack and slack.total}
        values |= {f"{sum_}_failing": slack and slack.failing, f"{sum_}_total": slack and slack.endpoints}
    periods = list(found.periods_ns.values())
    values["clock_period_ns"] = periods[0] if len(periods) == 1 else None
    return found.header, values


def power(path):
    found = vivado_reports.read_power(path)
    names = ("dynamic_w", "static_w", "theta_ja_c_per_w", "max_ambient_c", "junction_c")
    return found.header, {"total_power_w": found.total_w, **{name: getattr(found, name) for name in names}}


def csynth(path):
    found = (hls_reports.read_csynth_xml if path.suffix == ".xml" else hls_reports.read_csynth)(path)
    names = ("bram_18k", "dsp", "ff", "lut", "uram")
    values = {name: getattr(found.used, name) for name in names}
    values |= {f"{name}_avail": getattr(found.available, name) for name in names}
    clocks = {f"clock_{name}_ns": getattr(found, f"clock_{name}") for name in ("target", "estimated", "uncertainty")}
    assert found.top == ("myproject_axi" if "_axi_" in path.name else found.top)
    return found, values | clocks | pair("latency", found.latency) | pair("interval", found.interval)


def cosim(path):
    found = hls_reports.read_cosim(path)
    values = {"cosim_pass": int(found.passed), "latency_avg": found.latency and found.latency[1]}
    return None, values | pair("latency", found.latency and found.latency[::2]) | pair(
        "interval", found.interval and found.interval[::2]
    )


READERS = {
    r"util_kernel_": kernel,
    r"util_|hls4ml_util_|hls4ml_vivado_synth_": utilization,
    r"timing_": timing,
    r"power_|hls4ml_power_": power,
    r"hls4ml_csynth_": csynth,
    r"hls4ml_cosim_": cosim,
}


@pytest.fixture(scope="module")
def reports(shared_data):
    folder = shared_data / "vendor_reports"
    expected = json.loads((folder / "expected.json").read_text())
    return folder, {name: values for name, values in expected.items() if not name.startswith(HANDOFFS)}


def read(folder, name, tmp_path):
    path = folder / name
    if path.suffix == ".gz":
        plain = tmp_path / path.stem
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        path = plain
    return next(reader for pattern, reader in READERS.items() if re.match(pattern, name))(path)


@pytest.mark.parametrize("pattern", READERS)
def test_every_figure_of_every_real_report_is_read(pattern, reports, tmp_path):
    folder, expected = reports
    others = list(READERS)[: list(READERS).index(pattern)]
    names = [name for name in expected if re.match(pattern, name) and not any(re.match(p, name) for p in others)]
    assert names
    figures = 0
    for name in names:
        _, found = read(folder, name, tmp_path)
        known = {key: value for key, value in expected[name].items() if key in found}
        missed = {key for key, value in expected[name].items() if value is not None and key not in found}
        assert (name, found) == (name, known)
        assert (name, missed) == (name, set())
        figures += sum(value is not None for value in known.values())
    print(f"{pattern}: {len(names)} files, {figures} figures")  # noqa: T201 (shown by pytest -s)


def test_every_file_has_its_reader_and_names_its_tool_and_part(reports, tmp_path):
    folder, expected = reports
    assert len(expected) == 74
    for name in expected:
        told = re.search(r"_v(\d{4}\.\d+(\.\d+)?)[_.]", name)
        found, _ = read(folder, name, tmp_path)
        assert found is None or found.version == told[1], name


def test_real_reports_cut_short_give_all_their_figures_or_an_error(reports, tmp_path):
    folder, expected = reports
    draw = np.random.default_rng(1)
    refused = 0
    for name in expected:
        whole = (folder / name).read_bytes()
        text = gzip.decompress(whole) if name.endswith(".gz") else whole
        right = read(folder, name, tmp_path)
        short = tmp_path / name.removesuffix(".gz")
        for end in draw.integers(0, min(len(text), 12_000), 12):
            short.write_bytes(text[:end])
            try:
                assert read(tmp_path, short.name, tmp_path) == right, (name, end)
            except ReportError:
                refused += 1
    assert refused > 6 * len(expected)
