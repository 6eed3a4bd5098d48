"""Graph -> Design -> Measurement: emit, synthesize, time and simulate one network with every instrument we bring."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from codesign.architecture import Hardware
from codesign.errors import ModelError
from codesign.measurement import Figure, Measurement, Provenance
from codesign.target import Target
from hw.design import Design, design
from hw.emit.streaming import Foldings
from hw.graph import Graph, Ints
from hw.hls4ml_flow import VITIS, c_simulation
from hw.measure import layerwise, verilator, yosys
from hw.measure.cache import Cache
from hw.measure.delays import DelayModel
from hw.measure.layerwise import LayeredPlan
from hw.measure.plan import BuildPlan
from hw.measure.timing import Timing, analyse
from hw.measure.yosys import Synthesis

TOOL_SECONDS = 300.0
# Registers are placed for this share of the period: delays before synthesis are that much too short in the mean.
PERIOD_SHARE = 0.88
_ATTEMPTS = 3
_CORNERS = 2

Announce = Callable[[str], AbstractContextManager[None]]
"""Entered around each stage of the work with its name."""


@dataclass(frozen=True)
class Implementation:
    """A design, its figures (resources, modelled Fmax, simulated cycles), and its netlist (gzipped Yosys JSON).

    ``cached``: whether any of it was made before and came out of the cache.
    """

    design: Design
    measurement: Measurement
    netlist: Path
    cached: bool = False


def implement(
    graph: Graph,
    hardware: Hardware,
    target: Target,
    x: Ints,
    folder: Path,
    *,
    foldings: Foldings | None = None,
    jobs: int = 1,
    stage: Announce = lambda _: nullcontext(),
) -> Implementation:
    """Build ``graph`` for ``target`` in ``folder`` and hold its RTL against it on input integers ``x`` (n, inputs).

    In parallel mode registers are placed so that the timing model meets the clock; where the netlist misses it, again
    with more of them, and the fastest is kept. Raises ModelError where the graph cannot be built, MismatchError at the
    first differing bit, ToolRunError when a tool fails. ``foldings`` as in :func:`hw.design.design`. Layers of a large
    network are synthesized ``jobs`` at a time. What the user's cache has is neither synthesized nor compiled again.
    """
    cache = Cache.of_user()
    synthesize = partial(layerwise.synthesize, timeout_s=TOOL_SECONDS, cache=cache, jobs=jobs)
    best = _fastest(graph, hardware, target, folder, foldings, synthesize, stage)
    with stage("simulation"):
        cycles = verilator.simulate(best.design, x, graph.run(x), folder / "sim", timeout_s=TOOL_SECONDS, cache=cache)
    figures = best.figures.merged([best.timing.measurement(), cycles])
    return Implementation(best.design, figures, best.netlist, cached=cache is not None and bool(cache.taken))


@dataclass(frozen=True)
class _Attempt:
    design: Design
    figures: Measurement
    timing: Timing
    netlist: Path


_Synthesize = Callable[[BuildPlan | LayeredPlan, Path], Synthesis]


def _fastest(
    graph: Graph,
    hardware: Hardware,
    target: Target,
    folder: Path,
    foldings: Foldings | None,
    synthesize: _Synthesize,
    stage: Announce,
) -> _Attempt:
    """The first design that meets the clock, or else the fastest of those tried: more registers do not always help."""
    delays = DelayModel.for_part(target.part)
    share, tried = PERIOD_SHARE, list[_Attempt]()
    for number in range(_ATTEMPTS if hardware.mode == "parallel" or foldings is not None else 1):
        with stage("emission"):
            built = design(graph, hardware, delays, target.period_ns * share, foldings)
        if any(built.digest() == attempt.design.digest() for attempt in tried):
            break
        tried.append(_attempt(built, target, folder / f"synthesis-{number}", synthesize, stage))
        fmax = tried[-1].timing.fmax_mhz
        if fmax >= target.clock_mhz:
            break
        share *= 0.97 * fmax / target.clock_mhz
    return max(tried, key=lambda attempt: attempt.timing.fmax_mhz)


def _attempt(built: Design, target: Target, workdir: Path, synthesize: _Synthesize, stage: Announce) -> _Attempt:
    with stage("synthesis"):
        synthesis = synthesize(layerwise.plan(built.files, built.top, target.part, target.period_ns), workdir)
    with stage("timing"):
        timing = analyse(synthesis.netlist, built.top, target.part)
    return _Attempt(built, synthesis.figures, timing, workdir / yosys.ARTEFACT)


def random_vectors(graph: Graph, count: int, seed: int) -> Ints:
    """Input integers (``count``, inputs) over the whole range; the first two are all lowest and all highest."""
    kind = graph.input.type
    x = np.random.default_rng(seed).integers(kind.low, kind.high + 1, (count, graph.input.size))
    x[:_CORNERS] = np.array([kind.low, kind.high])[:, None]
    return x


def hold_c_simulation(
    model: Any,
    graph: Graph,
    x: Ints,
    folder: Path,
    target: Target,
    hardware: Hardware | None = None,
    backend: str = VITIS,
) -> Figure:
    """Number of vectors of ``x`` on which hls4ml's compiled C simulation differs from the graph.

    Leaves hls4ml's project in ``folder``, folded as ``hardware`` where that is given.

    ``details`` has the first difference. Raises ToolRunError where the C simulation cannot be made.
    """
    real = graph.input.type.to_real(x).astype(np.float32).reshape(-1, *model.inputs[0].shape[1:])
    found = c_simulation(model, real, folder, target.part.name, target.clock_mhz, hardware, backend, graph)
    expected = graph.output.type.to_real(graph.run(x))
    if found.shape != expected.shape:
        raise ModelError(f"hls4ml's C simulation gives outputs of shape {found.shape}, the graph {expected.shape}")
    differs = np.argwhere(found != expected)
    details: dict[str, Any] = {"vectors": len(x)}
    if len(differs):
        vector, output = (int(index) for index in differs[0])
        details["first"] = (
            f"vector {vector}, output {output}: C simulation {found[vector, output]:g}, "
            f"graph {expected[vector, output]:g}"
        )
    version = importlib.metadata.version("hls4ml")
    count = len(np.unique(differs[:, 0]))
    return Figure(count, "vectors", Provenance.SIMULATED, f"hls4ml csim ({backend}, g++)", version, details)
