"""Meters on serial devices, real pseudo-terminals: lines that are readings, and every way in which none come."""

from __future__ import annotations

import itertools
import os
import re
import termios
import threading
import time

import pytest
from meter_source import Source, check

from boards import meters
from boards.meters import parse_meter
from codesign.errors import InputError, ToolError


@pytest.fixture(autouse=True)
def short_wait(monkeypatch):
    monkeypatch.setattr(meters, "LAST_SECONDS", 0.3)


@pytest.fixture
def device():
    """The two ends of a pseudo-terminal: what to write to, and its name."""
    master, slave = os.openpty()
    open_ends = {master, slave}

    def hang_up():
        for end in list(open_ends):
            os.close(end)
            open_ends.discard(end)

    yield master, os.ttyname(slave), hang_up
    hang_up()


@pytest.mark.parametrize(
    "line",
    [
        lambda watts: f"{watts:.2f}",
        lambda watts: f" {watts * 1000:.0f} mW",
        lambda watts: f"{watts:.2f}W",
        lambda watts: f"{watts:.2f}, 1.000",
        lambda watts: f"{watts:.2f} V, 1000 mA",
        lambda watts: f"{watts:.2e}",
    ],
)
def test_a_device_that_sends_lines(device, line):
    master, name, _ = device
    meter = parse_meter(f"serial:{name}@9600")
    with Source(lambda watts: os.write(master, f"{line(watts)}\r\n\r\n".encode())) as source:
        _, found = meter.measure(source.ask)
        assert termios.tcgetattr(master)[4:6] == [termios.B9600] * 2
    check(found, f"serial:{name}@9600")


def test_what_was_cut_off_at_the_start_is_passed_over(device, monkeypatch):
    """The end of a line arrives first, as soon as the device is listened to."""
    master, name, _ = device
    flush, begun = termios.tcflush, threading.Event()

    def flushed(descriptor, queue):
        flush(descriptor, queue)
        os.write(master, b"3 garbage\xff\n")
        begun.set()

    monkeypatch.setattr(termios, "tcflush", flushed)
    with Source(lambda watts: os.write(master, f"{watts}\n".encode()) if begun.is_set() else None) as source:
        check(parse_meter(f"serial:{name}").measure(source.ask)[1], f"serial:{name}@115200")


@pytest.mark.parametrize("line", ["overload", "1,2,3", "5 A", "1 W,2 A", "5.0,", "", "1.2.3", "\xff", "0x5", "4 kW"])
def test_a_line_of_a_device_that_is_no_reading(device, line):
    master, name, _ = device
    lines = itertools.chain([b"1.0\n"] * 10, itertools.repeat(f"{line}\n".encode("latin-1") if line else b"-1\n"))
    with (
        Source(lambda _: os.write(master, next(lines))) as source,
        pytest.raises(ToolError, match=r"which is no (reading: a line is watts, or volts,amperes|power that a board)"),
    ):
        parse_meter(f"serial:{name}").measure(lambda: source.more(25))


def test_a_device_that_sends_no_lines(device):
    master, name, _ = device
    with Source(lambda _: os.write(master, b"\xfe" * 512)), pytest.raises(ToolError, match="sends no lines, but b'"):
        parse_meter(f"serial:{name}").measure(dict)


def test_a_device_that_is_pulled_out(device):
    master, name, hang_up = device
    meter = parse_meter(f"serial:{name}")
    with Source(lambda watts: os.write(master, f"{watts}\n".encode())) as source:

        def ask():
            answer = source.ask()
            source.stopped.set()
            source.thread.join()
            hang_up()
            time.sleep(0.1)
            return answer

        with pytest.raises(ToolError, match=f"^meter serial:{name}@115200 ended.*is it still plugged in"):
            meter.measure(ask)


def test_devices_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"^there is no serial device /dev/ttyUSB99: is the meter plugged in\?"):
        parse_meter("serial:/dev/ttyUSB99@9600")
    with pytest.raises(InputError, match=r"^12345 is no speed of serial devices; known: 50, 75, .*115200"):
        parse_meter("serial:/dev/null@12345")
    with pytest.raises(ToolError, match=r"^/dev/null is no serial device: Inappropriate ioctl"):
        parse_meter("serial:/dev/null").measure(dict)


def test_a_device_that_may_not_be_read(device, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ToolError, match=r": Permission denied; add yourself to its group, often dialout$"):
        parse_meter(f"serial:{device[1]}").measure(dict)


@pytest.mark.parametrize("text", ["", "csv:", "serial:", "usb:/dev/x", "log.csv"])
def test_what_is_no_meter(text):
    with pytest.raises(
        InputError,
        match=f"^{re.escape(repr(text))} is no meter; give csv:PATH, or serial:DEVICE or serial:DEVICE@BAUD$",
    ):
        parse_meter(text)
