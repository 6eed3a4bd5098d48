"""Large networks synthesized layer by layer, each as a module of its own, and put together again into one netlist.

A part is a module that the top level places and that has no parameters: the layers. What remains, the top level with
the library modules that it places itself, is the glue; in it the parts are black boxes. Yosys joins the mapped netlists
without mapping anything again, so that counts and timing are of the whole network; only logic on both sides of a
part's port is not mapped together.

A part is called the same wherever it stands: an unchanged layer is the same plan in another place and another network.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from codesign.target import Part
from hw.measure import tools, yosys
from hw.measure.cache import Cache
from hw.measure.plan import BuildPlan

PART = "cdg_part"
LEAST_TEXT = 100_000
"""Characters of the parts' own files from which on a network is large: with less, starting Yosys again costs what it
saves."""
GLUE_SHARE = 0.35
"""Of the clock's period, the delay of logic that is fast enough in the glue. Its paths are not the network's slowest:
mapped alone, for speed throughout, that of a network which pools 4-bit values took 816 LUTs, and 600 with this."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)


@dataclass(frozen=True)
class LayeredPlan:
    """Plans of the parts, by module, and of the glue; making one runs and writes nothing."""

    parts: Mapping[str, BuildPlan]
    glue: BuildPlan

    def joined(self, netlists: Mapping[str, str]) -> BuildPlan:
        """How the mapped ``netlists`` of all plans (JSON, by the digest of the plan) become one."""
        used = {module: f"{build.digest()}.json" for module, build in self.parts.items()}
        top, glue = self.glue.top, f"{self.glue.digest()}.json"
        script = [
            "read_verilog -lib +/xilinx/cells_sim.v +/xilinx/cells_xtra.v",  # block RAM of UltraScale+ is in the second
            *(f"read_json {name}\nrename {PART} {module}" for module, name in used.items()),
            f"read_json {glue}",
            f"hierarchy -check -top {top}",
            "flatten",
            "opt_lut_ins -tech xilinx",
            "opt_clean -purge",
            "delete t:$scopeinfo",
            f"select {top}",
            f"write_json -selected {yosys.NETLIST}",
        ]
        files = {f"{digest}.json": text for digest, text in netlists.items()}
        return BuildPlan(files, "\n".join(script) + "\n", self.glue.tool, self.glue.version, top)


def plan(files: Mapping[str, str], top: str, part: Part, period_ns: float) -> BuildPlan | LayeredPlan:
    """How a network is synthesized for a clock of that period: whole, or layer by layer where it is large."""
    sources = [_sources(files, module) for module in _parts(files, top)]
    used = Counter(name for own in sources for name in own)
    size = sum(len(text) for own in sources for name, text in own.items() if used[name] == 1)
    if len(sources) < 2 or size < LEAST_TEXT:
        return yosys.plan(files, top, part)
    return layered(files, top, part, period_ns)


def layered(files: Mapping[str, str], top: str, part: Part, period_ns: float) -> LayeredPlan:
    """Plans layer by layer, whatever the size."""
    modules = _parts(files, top)
    plans = {module: yosys.plan(_renamed(_sources(files, module), module), PART, part) for module in modules}
    boxes = {f"{module}.sv": _black_box(files[f"{module}.sv"], module) for module in modules}
    enough = round(1000 * GLUE_SHARE * period_ns)
    return LayeredPlan(plans, yosys.plan(_sources({**files, **boxes}, top), top, part, delay_target_ps=enough))


def synthesize(
    build: BuildPlan | LayeredPlan, workdir: Path, *, timeout_s: float, cache: Cache | None = None, jobs: int = 1
) -> yosys.Synthesis:
    """As :func:`hw.measure.yosys.synthesize`, ``jobs`` parts at a time; ``timeout_s`` is that of each."""
    if isinstance(build, BuildPlan):
        return yosys.synthesize(build, workdir, timeout_s=timeout_s, cache=cache)
    plans = {each.digest(): each for each in (*build.parts.values(), build.glue)}  # layers may be alike
    largest_first = sorted(plans, key=lambda digest: -sum(map(len, plans[digest].files.values())))

    def run(digest: str) -> tuple[str, bool]:
        netlist, is_cached = yosys.run(plans[digest], workdir / digest, timeout_s=timeout_s, cache=cache)
        return json.dumps(netlist), is_cached

    made = dict(zip(largest_first, in_parallel(run, largest_first, jobs), strict=True))
    joined = build.joined({digest: netlist for digest, (netlist, _) in made.items()})
    netlist, _ = yosys.run(joined, workdir, timeout_s=timeout_s, cache=cache)
    cached = sum(is_cached for _, is_cached in made.values())
    how = {"synthesis": f"{len(build.parts)} layers and the top level, each mapped alone, then joined"}
    if cached:
        how["cached"] = f"{cached} of {len(made)}: {yosys.CACHED}"
    return yosys.counted(netlist, joined, how)


def in_parallel(work: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int) -> list[_Result]:
    """``work`` of each item, ``jobs`` at a time; when one fails, the tools of the others are stopped."""
    if jobs < 2:
        return [work(item) for item in items]
    stop = threading.Event()

    def stoppable(item: _Item) -> _Result:
        with tools.stoppable(stop):
            return work(item)

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(stoppable, item) for item in items]
        try:
            for done in as_completed(futures):
                done.result()
        except BaseException:  # Ctrl-C too
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _parts(files: Mapping[str, str], top: str) -> list[str]:
    """Modules without parameters that the top level places."""
    placed = re.findall(r"^ +(\w+) \w+ \($", files[f"{top}.sv"], re.MULTILINE)
    return [module for module in dict.fromkeys(placed) if f"{module}.sv" in files]


def _sources(files: Mapping[str, str], module: str) -> dict[str, str]:
    """The files of a module and of all below it, without comments: they may name the layer or the network."""
    found: dict[str, str] = {}
    waiting = [f"{module}.sv"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _COMMENT.sub("", files[name])
            words = set(re.findall(r"\w+", found[name]))
            waiting += [other for other in files if PurePath(other).stem in words]
    return dict(sorted(found.items()))


def _renamed(files: Mapping[str, str], module: str) -> dict[str, str]:
    """The same module, and those named after it, as :data:`PART`."""
    own = re.compile(rf"\b{re.escape(module)}(?=_|\b)")
    return dict(sorted((own.sub(PART, name), own.sub(PART, text)) for name, text in files.items()))


def _black_box(text: str, module: str) -> str:
    """Its ports alone."""
    ports = re.search(rf"^module {re.escape(module)} \(.*?^\);", text, re.MULTILINE | re.DOTALL)
    assert ports is not None, module
    return f"(* blackbox *)\n{ports.group().replace('wire logic', 'logic')}\nendmodule\n"
