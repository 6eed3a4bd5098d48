"""Meters outside the board: which readings count, and every way in which a file gives no figure."""

from __future__ import annotations

import datetime
import re
import threading
import time
from pathlib import Path

import pytest
from meter_source import IDLE, Source, check

from boards import meters
from boards.meters import Moment, SerialMeter, parse_meter
from codesign.errors import InputError, ToolError


@pytest.fixture(autouse=True)
def short_wait(monkeypatch):
    monkeypatch.setattr(meters, "LAST_SECONDS", 0.3)


# which readings count


def moments(*readings, late=0.0):
    return [Moment(when, when + late, (watts,)) for when, watts in readings]


def figure(found, sent=1000.0, answered=1010.0):
    """Spans of 4 s each in a call of 10 s: the board began between 1000 and 1002."""
    meter = SerialMeter(Path("/dev/null"))
    return meter.figure(found, sent, answered, {"idle_s": [0.0, 4.0], "busy_s": [4.0, 8.0]})


def test_only_what_is_surely_within_a_span_counts():
    """The board was idle from 1002 to 1004 and worked from 1006 to 1008 at least; what lies between is left out."""
    times = [999.5 + 0.25 * i for i in range(50)]
    found = figure(moments(*((when + 0.001, 1.0 if when <= 1004 else 2.0 if when > 1006 else 99.0) for when in times)))
    assert (found["idle_w"], found["busy_w"]) == (1.0, 2.0)
    assert found["samples"] == [7, 7], "a reading averages since the one before it"


def test_whole_seconds_were_cut_off():
    """12:00:07 may be anything up to 12:00:08."""
    times = [1000 + i for i in range(40)]
    found = SerialMeter(Path("/dev/null")).figure(
        moments(*((when, float(when)) for when in times)),
        1000.0,
        1030.0,
        {"idle_s": [0.0, 15.0], "busy_s": [15.0, 30.0]},
    )
    assert found["samples"] == [14, 14]
    assert found["idle_w"] == sum(range(1001, 1015)) / 14


def test_a_clock_that_is_a_little_off_narrows_the_spans():
    times = [990.003 + 0.1 * i for i in range(300)]
    readings = [(when, 1.0 if when <= 1004.3 else 2.0) for when in times]
    exact, late, early = (figure(moments(*readings, late=late))["samples"] for late in (0.0, 0.5, -0.5))
    assert late[0] < exact[0]
    assert early[1] < exact[1]


@pytest.mark.parametrize(
    ("late", "said"), [(3600.0, "3600 s behind"), (-7200.0, "7200 s ahead of"), (2.0, "2 s behind")]
)
def test_a_clock_that_is_wrong(late, said):
    readings = moments(*((990.003 + 0.1 * i, 1.0) for i in range(300)), late=late)
    with pytest.raises(
        ToolError, match=f"^the times of meter serial:/dev/null@115200 are {said} this computer's clock"
    ):
        figure(readings)


@pytest.mark.parametrize(("until", "counts"), [(1003.0, (9, 0)), (1006.4, (19, 3)), (990.0, (0, 0))])
def test_too_few_readings_are_no_figure(until, counts):
    times = [when for when in (980.003 + 0.1 * i for i in range(400)) if when <= until]
    if counts[1] >= 3:
        assert tuple(figure(moments(*((when, 1.0) for when in times)))["samples"]) == counts
        return
    said = f"gave {counts[0]} readings while the board was idle and {counts[1]} while it worked, 3 of each are needed"
    with pytest.raises(ToolError, match=said):
        figure(moments(*((when, 1.0) for when in times)))


def test_a_link_slower_than_the_measurement():
    """Nothing surely falls into a span then."""
    with pytest.raises(ToolError, match="gave 0 readings while the board was idle and 0 while it worked"):
        figure(moments(*((990.003 + 0.1 * i, 1.0) for i in range(400))), 1000.0, 1020.0)


# a file


def stamp(kind):
    now = time.time()
    if kind == "epoch":
        return f"{now:.6f}"
    if kind == "utc":
        return datetime.datetime.now(datetime.UTC).isoformat()
    if kind == "zulu":
        return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return datetime.datetime.fromtimestamp(now).isoformat(sep=" ")  # local, without a zone


def appended(path, text):
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("power_w", lambda watts: f"{watts}"),
        ("Time, Watts", lambda watts: f"{stamp('epoch')}, {watts}"),
        ("timestamp,voltage_v,current_a", lambda watts: f"{stamp('utc')},{watts},1.0"),
        ("n,amperes,volts,time", lambda watts: f"7,0.5,{2 * watts},{stamp('zulu')}"),
        ("time,watts,volts,amperes", lambda watts: f"{stamp('local')},{watts},5,0"),
    ],
    ids=["arrival", "epoch", "utc", "zulu", "local"],
)
def test_a_file_that_grows(tmp_path, header, row):
    before = set(threading.enumerate())
    path = tmp_path / "log.csv"
    path.write_text(f"\N{BOM}{header}\r\n" + "old rows are not read\r\n" * 400 + "half a")
    meter = parse_meter(f"csv:{path}")
    appended(path, " row that is ended later\r\n")
    with Source(lambda watts: appended(path, row(watts) + "\r\n")) as source:
        answer, found = meter.measure(source.ask)
    assert answer["rails"] == {}
    check(found, f"csv:{path}")
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("time,mW", "names time, mw: it needs a column power_w, or volts and amperes"),
        ("volts", "names volts: it needs"),
        ("", "names nothing: it needs"),
    ],
)
def test_a_file_without_the_columns(tmp_path, header, said):
    path = tmp_path / "log.csv"
    path.write_text(header)
    with pytest.raises(InputError, match=f"^the first line of {re.escape(str(path))} {said}"):
        parse_meter(f"csv:{path}")


def log(tmp_path, header="power_w"):
    path = tmp_path / "log.csv"
    path.write_text(header + "\n")
    return path, parse_meter(f"csv:{path}")


@pytest.mark.parametrize(
    ("header", "line", "said"),
    [
        ("power_w", "overload", "wrote 'overload', which is no reading: could not convert"),
        ("volts,amperes", "5.0", "wrote '5.0', which is no reading: tuple index out of range"),
        ("power_w", "nan", "read 'nan', which is no power that a board takes"),
        ("power_w", "-3.5", "read '-3.5', which is no power that a board takes; is it the right way round?"),
        ("time,power_w", "12.5,3", "its time 12.5 is neither seconds since 1970 nor ISO 8601"),
        ("time,power_w", "noon,3", "wrote 'noon,3', which is no reading: Invalid isoformat string"),
    ],
)
def test_a_line_that_is_no_reading(tmp_path, header, line, said):
    path, meter = log(tmp_path, header)
    good = "5,1" if header.startswith("volts") else f"{stamp('epoch')},1.0" if "time" in header else "1.0"

    def ask():
        appended(path, line + "\n")
        return {"idle_s": [0.0, 0.1], "busy_s": [0.1, 0.2]}

    with later(path, good), pytest.raises(ToolError, match=re.escape(said).replace("tuple", "(tuple|list)")):
        meter.measure(ask)


def later(path, line):
    """Append once the file is being read."""
    source = Source(lambda _: appended(path, line + "\n") if source.count == 5 else None)
    return source


def test_a_file_that_does_not_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(meters, "FIRST_SECONDS", 0.1)
    _, meter = log(tmp_path)
    asked = []
    with pytest.raises(
        ToolError, match=r"gave no reading in 0.1 s: is it on, does it log, and is each line written at"
    ):
        meter.measure(lambda: asked.append(1) or {})
    assert not asked, "the board is not asked for nothing"


def test_a_logger_that_stops_in_the_middle(tmp_path):
    path, meter = log(tmp_path)
    with (
        Source(lambda watts: appended(path, f"{watts}\n") if source.load == IDLE else None) as source,
        pytest.raises(ToolError, match=r"and 0 while it worked, 3 of each are needed"),
    ):
        meter.measure(source.ask)


@pytest.mark.parametrize("how", ["shorter", "other"])
def test_a_file_that_is_begun_anew(tmp_path, how):
    path, meter = log(tmp_path)

    def ask():
        if how == "other":
            path.rename(tmp_path / "old.csv")
        path.write_text("")
        time.sleep(0.1)
        return {"idle_s": [0.0, 0.05], "busy_s": [0.05, 0.1]}

    with (
        later(path, "1.0"),
        pytest.raises(ToolError, match=f"^{re.escape(str(path))} was begun anew while it was read"),
    ):
        meter.measure(ask)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"log.csv: No such file or directory; start the meter's logger first$"):
        parse_meter(f"csv:{tmp_path / 'log.csv'}")


def test_the_boards_error_comes_first(tmp_path):
    before = set(threading.enumerate())
    path, meter = log(tmp_path)

    def ask():
        raise ToolError("the board is gone")

    with later(path, "1.0"), pytest.raises(ToolError, match="^the board is gone$"):
        meter.measure(ask)
    assert set(threading.enumerate()) <= before
