"""Parts and boards: what comes with the package, what users bring, and what is said about mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from boards.board import ProcessingSystem
from boards.catalogue import board_names, load_board, load_part, load_target, part_names
from codesign.errors import TargetError

PART = """\
name = "mine-1"
family = "xc7"
speed_grade = "-1"
source = "my data sheet"
[resources]
lut = 1000
ff = 2000
bram = 3
dsp = 4
"""
BOARD = 'name = "my-board"\ntitle = "Mine"\npart = "mine.toml"\nsource = "my desk"\n'


@pytest.mark.parametrize(
    ("name", "family", "grade", "lut", "ff", "bram", "dsp", "uram"),
    [
        ("xc7z020clg400-1", "xc7", "-1", 53_200, 106_400, 140, 220, 0),
        ("xczu7ev-ffvc1156-2-e", "xcup", "-2", 230_400, 460_800, 312, 1_728, 96),
        ("xc7a35t", "xc7", "-1", 20_800, 41_600, 50, 90, 0),
        ("xc7a100t", "xc7", "-1", 63_400, 126_800, 135, 240, 0),
        ("xczu3eg", "xcup", "-1", 70_560, 141_120, 216, 360, 0),
        ("xczu9eg", "xcup", "-2", 274_080, 548_160, 912, 2_520, 0),
        ("xck26", "xcup", "-2LV", 117_120, 234_240, 144, 1_248, 64),
        ("xcvu9p", "xcup", "-2L", 1_182_240, 2_364_480, 2_160, 6_840, 960),
        ("xcvu13p", "xcup", "-2", 1_728_000, 3_456_000, 2_688, 12_288, 1_280),
    ],
)
def test_part(name, family, grade, lut, ff, bram, dsp, uram):
    part = load_part(name)
    assert part.name.startswith(name)
    assert (part.family, part.speed_grade) == (family, grade)
    assert part.resources == {"lut": lut, "ff": ff, "bram": bram, "dsp": dsp, "uram": uram}


def test_every_part_loads_by_its_full_name():
    assert len(part_names()) == 9
    assert all(load_part(name).name == name for name in part_names())


@pytest.mark.parametrize(
    ("board", "part"),
    [("pynq-z1", "xc7z020clg400-1"), ("pynq-z2", "xc7z020clg400-1"), ("zcu104", "xczu7ev-ffvc1156-2-e")],
)
def test_board(board, part):
    target = load_target(board, None, 125.0)
    assert (target.board, target.part.name, target.clock_mhz, target.period_ns) == (board, part, 125.0, 8.0)


def test_board_names():
    assert board_names() == ["pynq-z1", "pynq-z2", "zcu104"]


def test_bare_part():
    target = load_target(None, "xczu3eg", 200)
    assert (target.board, target.part.name) == (None, "xczu3eg-sbva484-1-e")


def test_files_of_the_user(tmp_path: Path, monkeypatch):
    (tmp_path / "mine.toml").write_text(PART)
    (tmp_path / "board.toml").write_text(BOARD)
    assert load_part(str(tmp_path / "mine.toml")).resources["lut"] == 1000
    target = load_target(str(tmp_path / "board.toml"), None, 100)
    assert (target.board, target.part.name) == ("my-board", "mine-1")
    monkeypatch.chdir(tmp_path)
    assert load_target("board.toml", None, 100) == target
    (tmp_path / "other.toml").write_text(BOARD.replace("mine.toml", "xc7a35t"))
    assert load_target("other.toml", None, 100).part == load_part("xc7a35t")
    (tmp_path / "third.toml").write_text(BOARD.replace("mine.toml", str(tmp_path / "mine.toml")))
    assert load_target("third.toml", None, 100) == target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("lut = 1000", "luts = 1000"), "[resources]: unknown key 'luts': did you mean lut?"),
        (("ff = 2000\n", ""), "[resources]: missing key 'ff'"),
        (("family", "familly"), ": unknown key 'familly': did you mean family?"),
        (('source = "my data sheet"\n', ""), ": missing key 'source'"),
        (('"xc7"', '"xc8"'), ": unknown family 'xc8': did you mean xc7 or xcup?"),
        (("dsp = 4", 'dsp = "4"'), "[resources]: dsp = '4' must be a whole number"),
        (("dsp = 4", "dsp = true"), "[resources]: dsp = True must be a whole number"),
        (("bram = 3", "bram = -3"), "[resources]: bram = -3 is negative"),
        (("[resources]", "[resources"), " is not a TOML file: "),
    ],
)
def test_bad_part_file(tmp_path: Path, change, message):
    file = tmp_path / "bad.toml"
    file.write_text(PART.replace(*change))
    with pytest.raises(TargetError, match=f"^{re.escape(str(file))} ?{re.escape(message)}"):
        load_part(str(file))


PS = """\
[ps]
kind = "zynq-7000"
reference_mhz = 50.0
pll_mhz = 1000.0
ddr_mib = 512
[ps.preset]
PCW_X = "MIO 16 .. 27"
"""


def test_a_processing_system(tmp_path: Path):
    (tmp_path / "board.toml").write_text(BOARD + PS)
    board = load_board(str(tmp_path / "board.toml"))
    assert board.ps == ProcessingSystem("zynq-7000", 50.0, 1000.0, 512, {"PCW_X": "MIO 16 .. 27"})
    (tmp_path / "board.toml").write_text(BOARD + PS.split("[ps.preset]")[0])
    assert load_board(str(tmp_path / "board.toml")).ps.preset == {}
    (tmp_path / "board.toml").write_text(BOARD)
    assert load_board(str(tmp_path / "board.toml")).ps is None
    assert all(load_board(name).ps is not None for name in board_names())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("pll_mhz", "pll"), "[ps]: unknown key 'pll': did you mean pll_mhz?"),
        (("ddr_mib = 512\n", ""), "[ps]: missing key 'ddr_mib'"),
        (("50.0", "50"), "[ps]: reference_mhz = 50 must be a number with a point"),
        (("1000.0", "nan"), "[ps]: pll_mhz = nan must be positive"),
        (("zynq-7000", "zynq"), "[ps]: unknown kind 'zynq': did you mean zynq-7000"),
        (("512", "500"), "[ps]: ddr_mib = 500 must be a power of two, at most 2048"),
        (("512", "4096"), "[ps]: ddr_mib = 4096 must be a power of two, at most 2048"),
        (("512", "0"), "[ps]: ddr_mib = 0 must be positive"),
        (('"MIO 16 .. 27"', "1"), "[ps]: preset.PCW_X = 1 must be a text"),
        (('"MIO 16 .. 27"', '"1} [exit]"'), "[ps]: preset.PCW_X = '1} [exit]' is no property of a cell"),
        (("PCW_X", '"a b"'), "[ps]: preset.a b = 'MIO 16 .. 27' is no property of a cell"),
    ],
)
def test_bad_processing_system(tmp_path: Path, change, message):
    file = tmp_path / "bad.toml"
    file.write_text(BOARD + PS.replace(*change))
    with pytest.raises(TargetError, match=f"^{re.escape(str(file))} {re.escape(message)}"):
        load_board(str(file))


@pytest.mark.parametrize(
    ("board", "part", "clock", "message"),
    [
        ("pynq-z3", None, 100, "unknown board 'pynq-z3': did you mean pynq-z2 or pynq-z1? (your own: the path of its"),
        (None, "xc7z02", 100, "unknown part 'xc7z02': did you mean xc7z020 or xc7z020clg400-1 or xc7a100t? (your own"),
        (None, None, 100, "give either a board or a part; given: neither"),
        ("a", "b", 100, "give either a board or a part; given: board = 'a' and part = 'b'"),
        ("pynq-z1", None, 0, "clock_mhz = 0 is not a clock: give a positive number of MHz"),
        ("pynq-z1", None, float("nan"), "clock_mhz = nan is not a clock: give a positive number of MHz"),
        (None, "a\0.toml", 100, "cannot read 'a\\x00.toml': embedded null byte"),
        ("nowhere.toml", None, 100, "cannot read nowhere.toml: No such file or directory"),
    ],
)
def test_bad_target(board, part, clock, message):
    with pytest.raises(TargetError, match=f"^{re.escape(message)}"):
        load_target(board, part, clock)
