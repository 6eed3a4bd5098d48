"""The folding solver against exhaustive search, its refusals, and that goals are met cycle for cycle."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from networks import random_graph
from qkeras_images import CONSTRUCTS, conv, dense, drawn, layer, model, relu
from qkeras_layers import lowered

from codesign.architecture import Hardware
from codesign.errors import TargetError
from codesign.target import Part, Target
from hw import solver
from hw.design import design
from hw.emit.folded import Folding
from hw.emit.rom import blocks
from hw.fitting import fitted
from hw.folded_cost import folded_cost
from hw.measure.delays import DelayModel
from hw.parts import beats_of, parts

pytestmark = [
    # QKeras draws the initial weights of all its layers from one initializer, serializes quantizers as constraints,
    # and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The initializer HeNormal is unseeded:UserWarning"),
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]
BUDGET = {"lut": 1500.0, "bram": 10.0}
TARGET = Target(Part("xc7z020clg400-1", "xc7", "-1", {"lut": 53_200, "bram": 140}), 100.0)


def small() -> Any:
    return parts(lowered(drawn(model((5, 5, 2), conv("c", 4), relu("a"), layer("Flatten", name="f"), dense("d", 3)))))


def cost(choice: solver.Choice) -> float:
    return choice.lut / BUDGET["lut"] + choice.bram / BUDGET["bram"]


def every(part: Any) -> list[solver.Choice]:
    """All foldings of a part, none left out, and parallel."""
    moves = len(part.window.moves) if part.window else beats_of(part.reads)
    found = [choice for choice in solver.choices(part) if choice.folding is None]
    around = solver._window_cost(part)
    stage = part.stage
    for pe, simd in itertools.product(range(1, stage.n_out + 1), range(1, stage.n_in + 1)):
        folding = Folding(pe, simd)
        latency = folding.latency(
            stage.n_in, stage.n_out, ternary_input=stage.input_ternary, thresholded=stage.output_ternary
        )
        cycles = max(moves, part.vectors * folding.interval(stage.n_in, stage.n_out, latency))
        lut, bram = folded_cost(stage, folding)
        found.append(solver.Choice(folding, cycles, around[0] + lut, around[1] + bram))
    return found


@pytest.mark.parametrize("interval", [25, 40, 60, 100, 200, 700])
def test_a_rate_is_met_as_cheaply_as_by_trying_everything(interval: int) -> None:
    chain = small()
    found = solver.at_rate(chain, interval, BUDGET)
    best = [min(cost(choice) for choice in every(part) if choice.cycles <= interval) for part in chain]
    assert found.interval <= interval
    assert sum(map(cost, found.choices)) == pytest.approx(sum(best))


@pytest.mark.parametrize("lut", [200, 300, 400, 700, 5000])
def test_as_fast_as_fits_is_as_fast_as_by_trying_everything(lut: int) -> None:
    chain, budget = small(), {"lut": float(lut)}
    possible = sorted({choice.cycles for part in chain for choice in every(part)})

    def least(interval: int) -> float:
        options = [[choice.lut for choice in every(part) if choice.cycles <= interval] for part in chain]
        return sum(map(min, options)) if all(options) else np.inf

    fitting = [interval for interval in possible if least(interval) <= lut]
    if not fitting:
        with pytest.raises(TargetError, match="even folded as far as possible the network takes"):
            solver.as_fast_as_fits(chain, budget)
        return
    found = solver.as_fast_as_fits(chain, budget)
    assert found.interval == fitting[0]
    assert (found.total("lut") <= lut, found.binds) == (True, "lut")


@pytest.mark.parametrize("latency", [4, 40, 100, 300])
def test_a_latency_is_shared_out_as_cheaply_as_by_trying_everything(latency: int) -> None:
    first, *late = parts(random_graph(1, [6, 5, 4, 3], "ternary"))
    chain = [first, *late]
    best = min(
        sum(map(cost, chosen))
        for chosen in itertools.product(*map(every, chain))
        if sum(choice.cycles for choice in chosen) <= latency
    )
    found = solver.at_latency(chain, latency, BUDGET)
    assert sum(choice.cycles for choice in found.choices) <= latency
    assert sum(map(cost, found.choices)) == pytest.approx(best)


def test_what_cannot_be_met_names_layer_resource_and_the_nearest() -> None:
    chain = small()
    message = "layer 'c' takes 25 cycles per frame at least, more than the 24 asked for: the fastest interval of this"
    with pytest.raises(TargetError, match=re.escape(message)):
        solver.at_rate(chain, 24, BUDGET)
    wide = parts(random_graph(1, [64] * 4, "ternary"))
    with pytest.raises(TargetError, match=r"LUTs, of which layer '.*' takes the most; 2000 are allowed: the nearest"):
        solver.at_rate(wide, 1, {"lut": 2000.0})
    with pytest.raises(TargetError, match="a latency of 20 cycles cannot be met: more than 26 are needed"):
        solver.at_latency(chain, 20, BUDGET)


def test_a_chain_of_twenty_layers_is_solved() -> None:
    chain, budget = parts(random_graph(1, [64] * 21, "ternary")), {"lut": 30_000.0, "bram": 100.0}
    for found in (solver.as_fast_as_fits(chain, budget), solver.at_latency(chain, 4000, budget)):
        assert len(found.choices) == 20
        assert found.total("lut") <= 30_000


@pytest.mark.parametrize("name", ["flatten", "residual", "sequence"])
@pytest.mark.parametrize("factor", [1.3, 4.0])
def test_goals_are_met_cycle_for_cycle(name: str, factor: float) -> None:
    graph = lowered(drawn(CONSTRUCTS[name]()))
    delays = DelayModel.for_part(TARGET.part)
    parallel = design(graph, Hardware("parallel"), delays, 8.0)
    for what in ("interval", "latency"):
        wanted = int(factor * getattr(parallel, f"{what}_cycles")) + 100
        goal = solver.Goal(**{what: wanted})
        solution = fitted(graph, goal, TARGET, 8.0)
        built = design(graph, Hardware("folded", 1), delays, 8.0, solution.foldings)
        assert getattr(built, f"{what}_cycles") <= wanted


def test_block_rams_are_counted_by_the_best_shape() -> None:
    assert [blocks(*shape) for shape in [(36, 512), (72, 512), (16, 73_728), (18, 1024), (1, 16_384), (40, 600)]] == [
        *(0.5, 1.0, 36.0, 0.5, 0.5, 1.5)
    ]
