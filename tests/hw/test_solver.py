"""The folding solver against exhaustive search, its refusals, and that goals are met cycle for cycle."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from networks import random_graph
from qkeras_images import CONSTRUCTS, conv, dense, drawn, layer, model, relu
from qkeras_layers import lowered

from codesign.architecture import Hardware
from codesign.counting import number_of
from codesign.errors import InputError, TargetError
from codesign.target import Part, Target
from hw import choices, solver
from hw.design import design
from hw.emit import adders
from hw.emit.folded import Folding
from hw.emit.rom import blocks
from hw.fitting import fitted
from hw.folded_cost import folded_cost
from hw.graph import Graph
from hw.latency import at_latency
from hw.measure.delays import DelayModel
from hw.parts import parts
from hw.streaming_cost import around, moves

pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]
BUDGET = {"lut": 1500.0, "bram": 10.0}
TARGET = Target(Part("xc7z020clg400-1", "xc7", "-1", {"lut": 53_200, "bram": 140}), 100.0)


def small() -> Any:
    return parts(lowered(drawn(model((5, 5, 2), conv("c", 4), relu("a"), layer("Flatten", name="f"), dense("d", 3)))))


def cost(choice: choices.Choice) -> float:
    return choice.lut / BUDGET["lut"] + choice.bram / BUDGET["bram"]


def every(part: Any) -> list[choices.Choice]:
    """All foldings of a part, none left out, and parallel."""
    moved = moves(part)
    found = [choice for choice in choices.choices(part) if choice.folding is None]
    beside = around(part)
    stage = part.stage
    for pe, simd in itertools.product(range(1, stage.n_out + 1), range(1, stage.n_in + 1)):
        folding = Folding(pe, simd)
        latency = folding.latency(
            stage.n_in, stage.n_out, ternary_input=stage.input_ternary, thresholded=stage.output_ternary
        )
        steps = folding.interval(stage.n_in, stage.n_out, latency)
        lut, bram = folded_cost(stage, folding)
        cycles = max(moved, part.vectors * steps)
        found.append(choices.Choice(folding, cycles, steps, beside[0] + lut, beside[1] + bram))
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


@pytest.mark.parametrize(
    "budget", [{"lut": 700.0, "bram": 1.0}, {"lut": 460.0, "bram": 3.0}, {"lut": 900.0, "bram": 0.0}]
)
def test_budgets_of_two_resources_are_kept_as_cheaply_as_by_trying_everything(budget: dict[str, float]) -> None:
    """Each part's own cheapest choice would break one of the budgets, or cost more of the other."""
    options = [[(40, 0.0), (5, 3.0)], [(300, 0.0), (120, 0.5), (60, 2.0)], [(500, 0.0), (330, 0.5)]]
    every = [[choices.Choice(None, 1, 0, float(lut), bram) for lut, bram in some] for some in options]
    possible = [
        chosen
        for chosen in itertools.product(*every)
        if all(sum(getattr(choice, name) for choice in chosen) <= most for name, most in budget.items())
    ]
    found = choices.cheapest(every, budget)
    if not possible:
        assert found is None
        return
    assert found is not None
    assert all(found.total(name) <= most for name, most in budget.items())
    best = min(sum(choices.cost(choice, budget) for choice in chosen) for chosen in possible)
    assert sum(choices.cost(choice, budget) for choice in found.choices) == pytest.approx(best)


@pytest.mark.parametrize("latency", [4, 40, 100, 300])
@pytest.mark.parametrize("budget", [BUDGET, {"lut": 330.0, "bram": 10.0}], ids=["free", "binding"])
def test_a_latency_is_shared_out_as_cheaply_as_by_trying_everything(latency: int, budget: dict[str, float]) -> None:
    chain = parts(random_graph(1, [6, 5, 4, 3], "ternary"))
    first, *late = map(every, chain)
    possible = [
        sum(choices.cost(choice, budget) for choice in chosen)
        for chosen in itertools.product(first, *late)
        if chosen[0].cycles + sum(choice.steps for choice in chosen[1:]) <= latency
        and sum(choice.lut for choice in chosen) <= budget["lut"]
    ]
    if not possible:
        with pytest.raises(
            TargetError, match=f"a latency of {latency} cycles was found; .* LUTs at least, of which layer"
        ):
            at_latency(chain, latency, budget)
        return
    found = at_latency(chain, latency, budget)
    assert found.choices[0].cycles + sum(choice.steps for choice in found.choices[1:]) <= latency
    # with a budget that binds, ways are tried by what they would cost without it: near the best, not always it
    slack = 1.0 if budget is BUDGET else 1.1
    assert min(possible) <= sum(choices.cost(choice, budget) for choice in found.choices) * (1 + 1e-9)
    assert sum(choices.cost(choice, budget) for choice in found.choices) <= slack * min(possible) * (1 + 1e-9)


def test_what_cannot_be_met_names_layer_resource_and_the_nearest() -> None:
    chain = small()
    message = "layer 'c' takes 25 cycles per frame at least, more than the 24 asked for: the fastest interval of this"
    with pytest.raises(TargetError, match=re.escape(message)):
        solver.at_rate(chain, 24, BUDGET)
    wide = parts(random_graph(1, [64] * 4, "ternary"))
    with pytest.raises(
        TargetError, match=r"LUTs at least, of which layer '.*' takes the most; 2000 are allowed: the near"
    ):
        solver.at_rate(wide, 1, {"lut": 2000.0})
    with pytest.raises(TargetError, match="a latency of 20 cycles cannot be met: layer 'c' alone takes 25 cycles"):
        at_latency(chain, 20, BUDGET)
    deep = parts(random_graph(1, [512, 512, 10], "ternary"))
    with pytest.raises(
        TargetError,
        match=r"network takes \d+ LUTs at least without block RAM \(0 allowed\), of which .* most; 300 are allowed",
    ):
        solver.as_fast_as_fits(deep, {"lut": 300.0, "bram": 0.0})


def test_a_chain_of_twenty_layers_is_solved() -> None:
    chain, budget = parts(random_graph(1, [64] * 21, "ternary")), {"lut": 30_000.0, "bram": 100.0}
    for found in (solver.as_fast_as_fits(chain, budget), at_latency(chain, 4000, budget)):
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


@pytest.mark.parametrize("latency", [68, 78])
def test_what_comes_with_the_pixels_is_not_counted_again(latency: int) -> None:
    """A window over the whole image reads it while it comes: its reader waits for the image once."""
    network = drawn(
        model((8, 8, 2), conv("c", 3, 1), relu("a"), layer("GlobalAveragePooling2D", name="g"), dense("d", 10))
    )
    graph = lowered(network)
    solution = fitted(graph, solver.Goal(latency=latency), TARGET, 8.0)
    delays = DelayModel.for_part(TARGET.part)
    assert design(graph, Hardware("folded"), delays, 8.0, solution.foldings).latency_cycles <= latency


def test_a_window_over_the_whole_image_may_be_faster_than_it_is_read() -> None:
    """It works when all is read: fewer steps then are a shorter latency, though no shorter interval."""
    network = drawn(model((6, 6, 2), conv("c", 3, 1), relu("a"), conv("w", 8, 6), relu("b")))
    _, whole = parts(lowered(network))
    within = [choice for choice in choices.choices(whole) if choice.cycles == moves(whole)]
    assert len(within) > 1
    assert sorted(within, key=lambda choice: choice.lut) == sorted(within, key=lambda choice: -choice.steps)


def test_all_that_a_latency_allows_is_used() -> None:
    graph, delays = random_graph(1, [64, 48, 32, 10], "ternary"), DelayModel.for_part(TARGET.part)
    found = [fitted(graph, solver.Goal(latency=latency), TARGET, 8.0) for latency in (400, 100)]
    parallel = sum(max(choice.lut for choice in choices.choices(part)) for part in parts(graph))
    assert found[0].total("lut") < 0.9 * found[1].total("lut") < 0.5 * parallel
    for solution, wanted in zip(found, (400, 100), strict=True):
        assert 0.8 * wanted < design(graph, Hardware("folded"), delays, 8.0, solution.foldings).latency_cycles <= wanted


def test_where_nothing_is_folded_the_network_is_the_parallel_one() -> None:
    graph, delays = random_graph(1, [12, 8, 5], "ternary"), DelayModel.for_part(TARGET.part)
    parallel = design(graph, Hardware("parallel"), delays, 8.0)
    solution = fitted(graph, solver.Goal(interval=1), TARGET, 8.0)
    assert design(graph, Hardware("folded"), delays, 8.0, solution.foldings).digest() == parallel.digest()


def test_a_latency_that_cannot_be_met_names_the_fastest() -> None:
    graph = random_graph(1, [24, 16, 10], "ternary")
    fastest = design(graph, Hardware("parallel"), DelayModel.for_part(TARGET.part), 2.0).latency_cycles
    assert fastest > 1
    message = f"a latency of 1 cycle cannot be met: the fastest that was found takes {fastest} cycles, of which layer '"
    with pytest.raises(TargetError, match=f"^{message}.*' alone takes [0-9]+$"):
        fitted(graph, solver.Goal(latency=1), TARGET, 2.0)


def slow_behind_fast() -> Graph:
    """A second layer of few pixels, which the first one's pace leaves much time, and one that begins after both."""
    blocks = [
        conv("c", 4),
        relu("a"),
        conv("e", 12, 4, strides=3),
        relu("b"),
        layer("Flatten", name="f"),
        dense("d", 3),
    ]
    return lowered(drawn(model((12, 12, 2), *blocks)))


def test_every_latency_from_the_fastest_on_is_met_and_none_below() -> None:
    graph, delays = slow_behind_fast(), DelayModel.for_part(TARGET.part)
    fastest = design(graph, Hardware("parallel"), delays, 8.0).latency_cycles
    for wanted in (fastest, fastest + 1, fastest + 9, fastest + 60):
        solution = fitted(graph, solver.Goal(latency=wanted), TARGET, 8.0)
        assert design(graph, Hardware("folded"), delays, 8.0, solution.foldings).latency_cycles <= wanted
    for wanted in (1, fastest - 1):
        words = f"a latency of {number_of(wanted, 'cycle')} cannot be met: the fastest that was found takes {fastest}"
        with pytest.raises(TargetError, match=f"^{words} cycles, of which layer 'c' alone takes [0-9]+$"):
            fitted(graph, solver.Goal(latency=wanted), TARGET, 8.0)


def test_a_latency_that_does_not_fit_names_the_resource_and_the_nearest() -> None:
    graph = slow_behind_fast()
    fastest = design(graph, Hardware("parallel"), DelayModel.for_part(TARGET.part), 8.0).latency_cycles
    small = replace(TARGET, part=replace(TARGET.part, resources={"lut": 900, "bram": 4}))
    with pytest.raises(TargetError) as caught:
        fitted(graph, solver.Goal(latency=fastest), small, 8.0)
    found = re.fullmatch(
        f"a latency of {fastest} cycles cannot be met: the fastest that was found takes ([0-9,]+) cycles; a faster one "
        "takes ([0-9]+) LUTs at least, of which layer '[ced]' takes the most; 900 are allowed",
        str(caught.value),
    )
    assert found
    assert int(found[2]) > 900
    nearest = int(found[1].replace(",", ""))
    assert fitted(graph, solver.Goal(latency=nearest), small, 8.0).total("lut") <= 900


def test_sums_are_shared_once_for_all_foldings_that_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, delays, shared = slow_behind_fast(), DelayModel.for_part(TARGET.part), list[int]()
    fastest = design(graph, Hardware("parallel"), delays, 8.0).latency_cycles
    original = adders.share
    monkeypatch.setattr(adders, "share", lambda *given: shared.append(1) or original(*given))
    solution = fitted(graph, solver.Goal(latency=fastest + 40), TARGET, 8.0)
    design(graph, Hardware("folded"), delays, 8.0, solution.foldings)
    assert not shared


def test_goals_that_are_none_are_refused() -> None:
    for wrong in ({"interval": 0}, {"latency": -1}, {"share": 0.0}, {"share": 1.5}, {"interval": 5, "latency": 5}):
        with pytest.raises(InputError):
            solver.Goal(**wrong)


def test_block_rams_are_counted_by_the_best_shape() -> None:
    assert [blocks(*shape) for shape in [(36, 512), (72, 512), (16, 73_728), (18, 1024), (1, 16_384), (40, 600)]] == [
        *(0.5, 1.0, 36.0, 0.5, 0.5, 1.5)
    ]
