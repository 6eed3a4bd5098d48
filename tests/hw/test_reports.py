"""The readers of reports on damaged ones: a figure is right, or it is an error that names file and line."""

from __future__ import annotations

import dataclasses
import re

import pytest
from reports import Source, cosim, csynth, csynth_xml

from codesign.errors import ReportError, ToolRunError
from hw.measure import hls_reports, vivado_reports
from hw.measure.report_text import same_part

ZYNQ, ULTRASCALE = Source(), Source("xczu7ev-ffvc1156-2-e", state="Routed")
CASES = {
    "utilization": (ZYNQ.utilization(), vivado_reports.read_utilization),
    "utilization-uram": (ULTRASCALE.utilization(uram=1), vivado_reports.read_utilization),
    "utilization-boxes": (ZYNQ.utilization(boxes=("inner", "other")), vivado_reports.read_utilization),
    "timing": (ZYNQ.timing(), vivado_reports.read_timing_summary),
    "timing-failed": (ZYNQ.timing(wns=-0.25), vivado_reports.read_timing_summary),
    "timing-na": (ULTRASCALE.timing(wns=None), vivado_reports.read_timing_summary),
    "power": (ZYNQ.power(), vivado_reports.read_power),
    "kernel": (ZYNQ.kernel(), lambda path: vivado_reports.read_kernel_utilization(path, "network")),
    "csynth-xml": (csynth_xml(), hls_reports.read_csynth_xml),
    "csynth-rpt": (csynth(), hls_reports.read_csynth),
    "cosim": (cosim(), hls_reports.read_cosim),
}
every_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def read(tmp_path):
    """Read a text as the report of a case; every error must name the file and one of its lines."""

    def attempt(name, text):
        path = tmp_path / "x.rpt"
        path.write_text(text)
        try:
            return CASES[name][1](path)
        except ReportError as refusal:
            told = str(refusal)
            error = refusal
        line = re.match(re.escape(str(path)) + r":(\d+): \S", told)
        assert line, told
        assert 1 <= int(line[1]) <= max(1, len(text.splitlines())), told
        raise error

    return attempt


def test_what_is_whole_is_read(read):
    found = read("utilization-uram", CASES["utilization-uram"][0])
    assert (found.lut.used, found.lut_logic, found.lut_memory, found.ff.used) == (120, 100, 20, 64)
    assert (found.bram.used, found.ramb36, found.ramb18) == (2.5, 1, 3)
    assert found.uram is not None
    assert (found.uram.used, found.uram.available, found.dsp.used) == (1, 96, 2)
    assert read("utilization", CASES["utilization"][0]).uram is None
    assert read("utilization-boxes", CASES["utilization-boxes"][0]).black_boxes == ("inner", "other")
    found = read("timing", CASES["timing"][0])
    assert (found.setup.worst, found.met, found.periods_ns) == (1.5, True, {"clk": 10.0})
    assert found.header.device == "7z020-clg400-1"
    assert read("timing-na", CASES["timing-na"][0]).setup is None
    assert read("csynth-xml", csynth_xml(latency=None, dsp="DSP48E")).latency is None
    assert read("csynth-xml", csynth_xml(latency=("undef", 6))).latency == (None, 6)
    assert read("csynth-xml", csynth_xml(latency=(5, "undef"))).latency is None
    assert read("csynth-rpt", csynth().replace("| 5 ", "| ? ", 1)).latency == (None, 6)
    assert read("cosim", cosim("Fail")).passed is False


def figures(found):
    names = ("header", "version", "part", "top")
    return {key: value for key, value in dataclasses.asdict(found).items() if key not in names}


@every_case
def test_cut_short_anywhere(name, read):
    """After every line and thrice within each: what is read is all right, or nothing is."""
    text, right = CASES[name][0], read(name, CASES[name][0])
    ends = {0} | {match.end() for match in re.finditer("\n", text)}
    ends |= {min(end + step, len(text) - 1) for end in ends for step in (-2, 7, 19)}
    refused = 0
    for end in sorted(ends - {-2}):
        try:
            found = read(name, text[:end])
        except ReportError:
            refused += 1
        else:
            assert found == right, end
    assert refused > len(ends) / 2


@every_case
def test_without_any_one_line(name, read):
    text, right = CASES[name][0], read(name, CASES[name][0])
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        # what is not there leaves no trace: a device without URAM, a box less, a header's entry that some do not have
        if re.match(r"\| (URAM|inner|other|Speed File|Design State)\b", line):
            continue
        try:
            found = read(name, "".join(lines[:number] + lines[number + 1 :]))
        except ReportError:
            continue
        assert found == right, line


@every_case
def test_with_a_number_made_unreadable(name, read):
    text, right = CASES[name][0], read(name, CASES[name][0])
    refused = 0
    body = re.search(r"\n-{20,}\n\n|\A", text).end()  # behind the header, which has no figures
    for number in re.compile(r"(?<![\w.])\d+(\.\d+)?(?![\w.])").finditer(text, body):
        broken = text[: number.start()] + "x" * len(number.group()) + text[number.end() :]
        try:
            found = read(name, broken)
        except ReportError:
            refused += 1
        else:
            assert figures(found) == figures(right), number
    assert refused


@every_case
def test_reports_of_another_kind_are_refused(name, read):
    for other, (text, _) in CASES.items():
        if name.split("-")[0] != other.split("-")[0] or {name, other} == {"csynth-xml", "csynth-rpt"}:
            with pytest.raises(ReportError):
                read(name, text)
    for text in ("", "\n\n", "killed\n", "\x00" * 50, "{}", "<html>\n</html>\n"):
        with pytest.raises(ReportError):
            read(name, text)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("utilization", "| 100 ", "| 101 ", "120 LUTs are not those of logic and memory together"),
        ("utilization", "| 120 ", "| 220 ", "220 of 53200 Slice LUTs* are not 0.23 %"),
        ("utilization", "2.5 ", "3.5 ", "3.5 of 140 Block RAM Tile are not 1.79 %"),
        ("utilization", "Vivado v.2024.1", "Quartus 23", "the report is not of Vivado but of 'Quartus 23"),
        ("timing", "are met", "are fine", "no timing was analysed: 'All user specified timing constraints are fine.'"),
        ("timing", " 1.500 ", "-1.500 ", "slacks and counts '-1.500 0.000 0 200' do not go together"),
        ("timing-failed", "constraints are not met", "constraints are not xet", "no timing was analysed"),
        ("power", "| 0.012 ", "| 0.112 ", "0.118 W are not dynamic 0.112 and static 0.106 W"),
        ("csynth-xml", "profile>", "report>", "the root is <report>, not the <profile> of C synthesis"),
        ("csynth-xml", "<Best-caseLatency>5<", "<Best-caseLatency>51<", "number of cycles is 51, more than the most"),
        ("csynth-xml", "<LUT>700<", "<LUT>-700<", "AreaEstimates/Resources/LUT is '-700': nothing of C synthesis"),
        ("csynth-rpt", "| 5 ", "| 7 ", "the least number of cycles is 7, more than the most, 6"),
        ("cosim", "      Pass", "        NA", "the co-simulation of Verilog has the status 'NA': it was not run"),
    ],
)
def test_figures_that_contradict_each_other(name, old, new, message, read):
    text = CASES[name][0]
    assert old in text, text
    with pytest.raises(ReportError, match=re.escape(message)):
        read(name, text.replace(old, new))


def test_a_network_without_any_cell_is_no_figure(read):
    nothing = dict.fromkeys(("lut", "memory", "ff", "ramb36", "ramb18", "dsp"), 0)
    message = "the design has no LUT and no register: nothing was synthesized"
    for name, text, row in (
        ("utilization", ZYNQ.utilization(**nothing), "| Slice LUTs*"),
        ("csynth-xml", csynth_xml(lut=0, ff=0), "<LUT>0"),
    ):
        line = next(number for number, told in enumerate(text.splitlines(), 1) if told.startswith(row))
        with pytest.raises(ReportError, match=rf"x\.rpt:{line}: {message}$"):
            read(name, text)
    assert read("utilization", ZYNQ.utilization(**nothing, boxes=("inner",))).lut.used == 0
    assert read("utilization", ZYNQ.utilization(**nothing | {"ff": 1})).ff.used == 1


def test_the_only_black_box_is_missed(read):
    """Of several, one less leaves no trace; of one, a table with two rules in a row."""
    boxed = ZYNQ.utilization(boxes=("inner",))
    row = next(line for line in boxed.splitlines(keepends=True) if line.startswith("| inner"))
    assert read("utilization", boxed).black_boxes == ("inner",)
    with pytest.raises(ReportError, match=r"x\.rpt:\d+: the table has two rules and no row between them$"):
        read("utilization", boxed.replace(row, ""))


def test_a_device_too_hot_and_powers_too_small_are_read(read):
    wide = ZYNQ.power(dynamic=0.001, static=99.0, confidence="Low" + 30 * " " + ".")
    hot = wide.replace("99.001" + 27 * " ", "99.001 (Junction temp exceeded!)" + " ")
    assert hot != wide
    assert read("power", hot).total_w == 99.001
    small = wide.replace("| 0.001 ", "| <0.001")
    assert small != wide
    assert read("power", small).dynamic_w == 0.001


def test_a_report_that_is_not_there(tmp_path):
    with pytest.raises(ToolRunError, match=r"none\.rpt: the report cannot be read: No such file or directory"):
        vivado_reports.read_power(tmp_path / "none.rpt")


@pytest.mark.parametrize(
    ("found", "asked", "same"),
    [
        ("7z020clg400-1", "xc7z020clg400-1", True),
        ("xc7z020clg400-1", "xc7z020clg400-1", True),
        ("7z020-clg400", "xc7z020clg400-1", True),
        ("xczu7evffvc1156-2", "xczu7ev-ffvc1156-2-e", True),
        ("xczu7ev-ffvc1156-2-e", "xczu7ev-ffvc1156-2-e", True),
        ("xczu7ev-ffvc1156-1-e", "xczu7ev-ffvc1156-2-e", False),
        ("xc7z020clg400-1L", "xc7z020clg400-1", False),
        ("xc7z020clg400-2", "xc7z020clg400-1", False),
        ("xc7z010clg400-1", "xc7z020clg400-1", False),
        ("7z020clg484-1", "xc7z020clg400-1", False),
        ("", "xc7z020clg400-1", False),
    ],
)
def test_the_many_spellings_of_a_part(found, asked, same):
    assert same_part(found, asked) is same
