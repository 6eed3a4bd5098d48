"""The cache of what tools made: an entry is whole or not there, whoever else reads, writes and is killed meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fuzz import DELAYS
from networks import random_graph, random_inputs

from codesign.architecture import Hardware
from codesign.errors import StorageError
from codesign.measurement import Measurement
from codesign.target import Part, Target
from hw.design import design
from hw.implement import implement
from hw.measure import tools, verilator, yosys
from hw.measure.cache import SETTING, Cache

ROOT = Path(__file__).resolve().parents[2]
ZYNQ = Part("xc7z020clg400-1", "xc7", "-1", {})
INVERTER = "module cdg_inverter (input logic [3:0] a, output logic [3:0] y);\n  assign y = ~a;\nendmodule\n"


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs ``code``."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_an_entry_is_what_was_put(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new")
    assert cache.get("a") is None
    cache.put("a", b"\0one")
    cache.put("b", b"")
    cache.put("a", b"other")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (b"other", b"", None)


@pytest.mark.parametrize("damaged", [bytes(132)[:131], bytes(132), b"", b"123456789"], ids=len)
def test_a_damaged_entry_is_a_miss(tmp_path: Path, damaged: bytes) -> None:
    cache = Cache(tmp_path)
    cache.put("a", bytes(100))
    assert (tmp_path / "a").stat().st_size == 132
    (tmp_path / "a").write_bytes(damaged)
    assert cache.get("a") is None
    cache.put("a", b"again")
    assert cache.get("a") == b"again"


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=3 * (32 + 100))
    for index, name in enumerate("abc"):
        cache.put(name, bytes(100))
        os.utime(tmp_path / name, (index, index))
    assert cache.get("a") is not None
    cache.put("d", bytes(100))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c", "d"]
    cache.put("e", bytes(1000))
    assert list(tmp_path.iterdir()) == [], "what is larger than the limit is not kept"


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from hw.measure.cache import Cache
cache, own = Cache(Path(sys.argv[1]), limit_bytes=40_000), sys.argv[2].encode()
for turn in range(150):
    name = str(turn % 7)
    cache.put(name, own * 5_000)
    found = cache.get(name)
    assert found is None or (len(set(found)) == 1 and len(found) == 5_000), found
"""


def test_several_processes_at_once(tmp_path: Path) -> None:
    running = [start(WRITER, tmp_path, name) for name in "abc"]
    for process in running:
        process.communicate(timeout=120)
    assert [process.returncode for process in running] == [0, 0, 0]
    left = list(tmp_path.iterdir())
    assert all(Cache(tmp_path).get(path.name) is not None for path in left)
    assert sum(path.stat().st_size for path in left) <= 40_000


HALF_WRITTEN = """
import sys, time
from pathlib import Path
from hw.measure.cache import Cache
def replace(*_):
    print("written", flush=True)
    time.sleep(600)
Path.replace = replace
Cache(Path(sys.argv[1])).put("a", bytes(1000))
"""


def test_a_process_killed_while_it_writes(tmp_path: Path) -> None:
    process = start(HALF_WRITTEN, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    cache, (left,) = Cache(tmp_path), tmp_path.iterdir()
    assert cache.get("a") is None
    cache.put("b", b"b")
    assert left.exists(), "as far as others know it is still being written"
    os.utime(left, (1, 1))
    cache.put("a", b"a")
    assert (cache.get("a"), cache.get("b"), left.exists()) == (b"a", b"b", False)


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Cache.of_user() is None, "tests keep nothing"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(SETTING)
    assert Cache.of_user() == Cache(tmp_path / "codesign" / "builds")
    monkeypatch.setenv(SETTING, str(tmp_path / "mine"))
    assert Cache.of_user() == Cache(tmp_path / "mine")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    advice = "make room there, or set CODESIGN_CACHE to another folder or to nothing"
    message = re.escape(f"cannot write {tmp_path / 'file'}: File exists; {advice}")
    with pytest.raises(StorageError, match=f"^{message}$"):
        Cache(tmp_path / "file").put("a", b"a")


def test_a_plan_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "cache")

    def synthesize(text: str, name: str, cache: Cache | None = cache) -> yosys.Synthesis:
        build = yosys.plan({"cdg_inverter.sv": text}, "cdg_inverter", ZYNQ)
        return yosys.synthesize(build, tmp_path / name, timeout_s=120, cache=cache)

    plain, first = synthesize(INVERTER, "plain", None), synthesize(INVERTER, "first")
    assert first == plain
    monkeypatch.setattr(tools, "run_tool", lambda *_, **__: pytest.fail("Yosys was run again"))
    second = synthesize(INVERTER, "second")
    assert second.netlist == plain.netlist
    assert (tmp_path / "second" / yosys.ARTEFACT).read_bytes() == (tmp_path / "plain" / yosys.ARTEFACT).read_bytes()
    for name, figure in plain.figures.figures.items():
        kept = second.figures.figures[name]
        assert (kept.value, kept.unit, kept.tool, kept.version) == (
            figure.value, figure.unit, figure.tool, figure.version,
        )  # fmt: skip
        assert dict(kept.details) == {**figure.details, "cached": yosys.CACHED}
    with pytest.raises(pytest.fail.Exception, match="Yosys was run again"):
        synthesize(INVERTER.replace("~a", "a"), "other")


def test_long_simulations_are_optimized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(3, [6, 5, 3], "2")
    built, x = design(graph, Hardware("folded", 4), DELAYS, 6.0), random_inputs(graph, 8)
    monkeypatch.setattr(verilator, "_LONG_CYCLES", 2 * 8 * built.interval_cycles)
    figures = verilator.simulate(built, x, graph.run(x), tmp_path / "long", timeout_s=120)
    assert (tmp_path / "long" / "once.o").exists()
    short = verilator.simulate(built, x[:7], graph.run(x[:7]), tmp_path / "short", timeout_s=120)
    assert not (tmp_path / "short" / "once.o").exists()
    assert short.value("latency_cycles") == figures.value("latency_cycles")


def test_a_program_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(3, [6, 5, 3], "2")
    built, x = design(graph, Hardware("folded", 4), DELAYS, 6.0), random_inputs(graph, 8)
    cache = Cache(tmp_path / "cache")
    first = verilator.simulate(built, x, graph.run(x), tmp_path / "first", timeout_s=120, cache=cache)
    monkeypatch.setattr(verilator, "_compiled", lambda *_, **__: pytest.fail("the program was compiled again"))
    y = random_inputs(graph, 9, seed=1)
    second = verilator.simulate(built, y, graph.run(y), tmp_path / "second", timeout_s=120, cache=cache)
    assert second.value("latency_cycles") == first.value("latency_cycles")
    assert np.any(graph.run(y)[:8] != graph.run(x)), "other inputs, so that the program must have run"
    with pytest.raises(pytest.fail.Exception, match="compiled again"):
        verilator.build(built, tmp_path / "optimized", timeout_s=120, optimized=True, cache=cache)
    other = design(random_graph(4, [6, 5, 3], "2"), Hardware("folded", 4), DELAYS, 6.0)
    with pytest.raises(pytest.fail.Exception, match="compiled again"):
        verilator.build(other, tmp_path / "third", timeout_s=120, cache=cache)


def test_the_same_hardware_is_implemented_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are the same without a cache, with an empty one, and from it; then no tool makes anything again."""
    graph = random_graph(3, [6, 5, 3], "2")
    x, target = random_inputs(graph, 8), Target(ZYNQ, 100.0)

    def implemented(name: str) -> Measurement:
        return implement(graph, Hardware("folded", 4), target, x, tmp_path / name).measurement

    without = implemented("without")
    monkeypatch.setenv(SETTING, str(tmp_path / "cache"))
    assert implemented("empty") == without
    monkeypatch.setattr(yosys, "_run", lambda *_: pytest.fail("synthesized again"))
    monkeypatch.setattr(verilator, "_compiled", lambda *_, **__: pytest.fail("compiled again"))
    kept = implemented("kept").figures
    told = {name for name, figure in kept.items() if figure.details.get("cached") == yosys.CACHED}
    assert told == {"lut", "ff", "carry", "bram", "dsp"}
    for name, figure in without.figures.items():
        same = {key: value for key, value in kept[name].details.items() if key != "cached"}
        assert replace(kept[name], details=same) == replace(figure, details=dict(figure.details))
