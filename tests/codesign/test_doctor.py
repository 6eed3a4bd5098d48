from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from processes import alive, wait_until

from codesign import doctor
from codesign.cli import main
from codesign.errors import ToolError
from codesign.machine import Machine
from hw.measure import tools
from hw.measure.cache import SETTING, Cache


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A PATH of its own, with the real tools; ``programs(name, text)`` puts a script in place of one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("g++", "make", "perl", "sh", "echo", "env", "as", "ld", "uname"):
        (folder / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(folder))
    for name in ("CXX", "MAKE", "CODESIGN_YOSYS", "CODESIGN_VERILATOR", "CODESIGN_VIVADO"):
        monkeypatch.delenv(name, raising=False)

    def replace(name, text=None):
        (folder / name).unlink(missing_ok=True)
        if text is not None:
            (folder / name).write_text("#!/bin/sh\n" + text)
            (folder / name).chmod(0o755)
        return folder / name

    return replace


def findings():
    return {found.name: found for found in doctor.examine()[0]}


def test_everything_works_here(programs):
    found = findings()
    assert {name: entry.problem for name, entry in found.items() if entry.required and entry.problem} == {}
    assert found["g++"].version == tools.find_cxx().version
    assert found["g++"].place.endswith("/bin/g++")
    assert found["numpy"].version.startswith("2.4.")
    doctor.require_tools()


def test_a_missing_tool(programs, capsys):
    programs("make")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    problem = "make was not found on PATH: install it (Debian, Ubuntu: apt install make), or set MAKE to its path"
    assert f"problem: {problem}" in out.replace("\n", " ")
    assert "the default search cannot run here" in out
    with pytest.raises(ToolError) as caught:
        doctor.require_tools()
    assert str(caught.value) == f"{problem}\n  see all with: python -m codesign doctor"


def test_a_compiler_that_says_its_version_but_compiles_nothing(programs):
    path = programs(
        "g++", '[ "$1" = --version ] && echo "g++ (X) 12.2.0" && exit\necho "cannot execute cc1plus" >&2; exit 1'
    )
    found = findings()["g++"]
    assert found.problem == f"g++ at {path} fails at its simplest job: cannot execute cc1plus"
    assert found.version == "12.2.0"


def test_a_yosys_that_dies(programs, monkeypatch):
    path = programs("broken", '[ "$1" = -V ] && echo "Yosys 0.50 (git)" && exit\nkill -SEGV $$')
    monkeypatch.setenv("CODESIGN_YOSYS", str(path))
    found = findings()["yosys"]
    assert (found.version, found.place) == ("0.50", str(path))
    assert found.problem == f"yosys at {path} fails at its simplest job: it ended with code 139"


def test_optional_tools_are_no_problem_and_say_what_they_would_add(programs):
    found = findings()["vivado"]
    assert not found.required
    where = "no program 'vivado' is on PATH; set CODESIGN_VIVADO to its path, or do without it"
    assert found.problem == f"Vivado was not found: {where}"
    assert "bitstreams" in found.gives
    place = programs("vivado", "exit 1")
    found = findings()["vivado"]
    assert found.place == str(place)
    assert found.problem == f"Vivado at {place} does not work: it does not say its version (code 1): no output"
    programs("vivado", "echo 'vivado v2031.1 (64-bit)'")
    found = findings()["vivado"]
    assert found.version == "2031.1"
    assert found.problem == "Vivado 2031.1 is not a version that this is written for (2020.1 to 2025.x)"
    programs("vivado", "echo 'Vivado v2020.1 (64-bit)'")
    assert (findings()["vivado"].version, findings()["vivado"].problem) == ("2020.1", "")


def test_a_tool_that_is_not_asked_is_not_said_to_work(programs, capsys):
    """Vitis HLS takes too long to say its version: it may hang, and nobody knows."""
    programs("vitis_hls", "sleep 60")
    assert (findings()["vitis-run"].version, findings()["vitis-run"].problem) == (doctor.NOT_ASKED, "")
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:4] == ["?", "vitis-run", "not", "asked"] for line in lines)


def test_version_and_job_have_their_time_together(tmp_path, monkeypatch):
    slow = tools.Tool("slow", tmp_path / "slow", "1", (sys.executable,))
    monkeypatch.setattr(tools, "ANSWER_SECONDS", 2.0)

    def find():
        time.sleep(1.0)
        return slow

    job = ["/bin/sleep", "60"]
    begun = time.monotonic()
    found = doctor._probe(doctor._ToolProbe("slow", "nothing", find, lambda tool, folder: job))
    assert time.monotonic() - begun < 2.9
    assert found.problem == f"slow at {tmp_path / 'slow'} did not end its simplest job within 2 s"


def test_tools_that_hang_are_told_while_one_waits_and_leave_nothing_behind(programs, tmp_path, monkeypatch, capsys):
    """All are asked at once, so that three that hang take as long as one."""
    monkeypatch.setattr(tools, "ANSWER_SECONDS", 3.0)
    programs("sleep").symlink_to(str(shutil.which("sleep", path=os.defpath)))
    hanging = ("vivado", "nextpnr-xilinx", "g++")
    places = {name: programs(name, f"sleep 60 & echo $! > {tmp_path}/{name}; wait") for name in hanging}
    begun = time.monotonic()
    assert main(["doctor", "--json"]) == 1
    assert time.monotonic() - begun < 2 * 3.0
    said = capsys.readouterr()
    found = {one["name"]: one["problem"] for one in json.loads(said.out)["findings"]}
    assert found["vivado"] == f"Vivado at {places['vivado']} did not answer within 3 s"
    assert found["nextpnr-xilinx"] == f"nextpnr-xilinx at {places['nextpnr-xilinx']} did not answer within 3 s"
    assert found["g++"] == f"g++ at {places['g++']} did not answer within 3 s; repair it or set CXX to another"
    assert said.err == "waiting for g++, Vivado, nextpnr-xilinx: each has 3 s\n"
    wait_until(lambda: not any(alive(int((tmp_path / name).read_text())) for name in hanging))


def test_nextpnr_needs_its_databases_too(programs, tmp_path, monkeypatch):
    monkeypatch.delenv("CODESIGN_CHIPDB", raising=False)
    programs("nextpnr-xilinx", "echo '\"nextpnr-xilinx\" -- Next Generation Place and Route (Version 0.8.2)' >&2")
    found = findings()["nextpnr-xilinx"]
    assert (found.version, found.problem) == ("0.8.2", "CODESIGN_CHIPDB is not set: the folder of its chip databases")
    monkeypatch.setenv("CODESIGN_CHIPDB", str(tmp_path))
    assert findings()["nextpnr-xilinx"].problem == ""


def test_too_little_memory_and_disk(programs, monkeypatch, capsys):
    small = Machine("Linux x86_64", "tiny", 1, 1024, 10, 20)
    monkeypatch.setattr(doctor, "this_machine", lambda: small)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "problem: memory: 1024 MiB, but 2048 MiB are needed; search with fewer --workers" in out
    assert "problem: disk: 10 MiB, but 500 MiB are needed; make room, or work in another folder" in out
    assert "problem: temporary disk: 20 MiB, but 500 MiB are needed; set TMPDIR" in out


def test_where_the_cache_is_and_how_to_empty_it(programs, tmp_path, monkeypatch):
    monkeypatch.setenv(SETTING, str(tmp_path / "kept"))
    Cache(tmp_path / "kept").put("a", bytes(2**28))
    found = findings()["cache"]
    assert (found.version, found.place, found.problem) == ("0.3 of 2 GiB", str(tmp_path / "kept"), "")
    assert found.gives == f"netlists and simulators made before; to empty it, delete {tmp_path / 'kept'}"
    monkeypatch.setenv(SETTING, "")
    assert findings()["cache"].version == "off"
    monkeypatch.delenv(SETTING)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    found = findings()["cache"]
    assert found.required
    assert found.problem.endswith("Not a directory; set XDG_CACHE_HOME to another folder")


def test_json_has_the_documented_keys(programs, capsys):
    assert main(["doctor", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert set(values) == {"able", "findings", "machine"}
    assert values["able"] is True
    assert set(values["findings"][0]) == {"name", "required", "gives", "version", "place", "problem"}
    assert set(values["machine"]) == {
        "system", "cpu", "cores", "memory_mib", "disk_free_mib", "temporary_free_mib"
    }  # fmt: skip


def test_the_search_is_refused_before_anything_is_made(programs, tmp_path, monkeypatch, capsys):
    programs("g++")
    monkeypatch.chdir(tmp_path)
    assert main(["search"]) == ToolError.exit_code
    assert capsys.readouterr().err == (
        "codesign: error: g++ was not found on PATH: install it (Debian, Ubuntu: apt install g++), or set CXX to its "
        "path\n  see all with: python -m codesign doctor\n"
    )
    assert not (tmp_path / "runs").exists()


def test_doctor_loads_nothing_heavy():
    code = (
        "import sys; from codesign.cli import main; main(['doctor'])\n"
        "print([name for name in ('tensorflow', 'hls4ml', 'pymoo', 'plotly', 'sklearn') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
