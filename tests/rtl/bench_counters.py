"""Testbench of cdg_counters: random frames through a network of random delays, held against lists of what happened."""

import random
from itertools import pairwise

import cocotb
from bench import parameters, settle, tick

IN_FLIGHT = parameters()["IN_FLIGHT"]
EVENTS = ("first", "good", "leave", "done", "stall", "bad_short", "bad_long")
COUNTERS = ("latency_last", "latency_min", "latency_max", "interval", "frames_in", "frames_out", "stalls")
# cycles from an event to the counter that snapshot copies
COUNT, MEASURE = 2, 3


def history(rng, frames):
    """Cycles of every event, {event: [cycles]}: at most IN_FLIGHT frames from good to leave, some bad, some stalls."""
    happened = {event: [] for event in EVENTS}
    word = sent = -1
    for _ in range(frames):
        first = word + rng.randint(1, 4)
        word = first + rng.randint(0, 3)
        happened["first"].append(first)
        if rng.random() < 0.2:
            happened[rng.choice(("bad_short", "bad_long"))].append(word)
            continue
        if len(happened["leave"]) >= IN_FLIGHT:
            word = max(word, happened["leave"][-IN_FLIGHT] + 1)
        happened["good"].append(word)
        leave = max(word + rng.randint(2, 12), sent)
        happened["leave"].append(leave)
        sent = leave + rng.randint(1, 5)
        happened["done"].append(sent)
        happened["stall"] += rng.sample(range(leave + 1, sent), k=rng.randint(0, sent - leave - 1))
    return happened


def expected(happened, cycle):
    """What a snapshot in ``cycle`` copies."""
    done = [at for at in happened["done"] if at + MEASURE <= cycle]
    starts = starts_of(happened)
    latencies = [end - start for start, end in zip(starts, done, strict=False)]
    return {
        "cycles": cycle,
        "latency_last": latencies[-1] if latencies else 0,
        "latency_min": min(latencies, default=0xFFFF_FFFF),
        "latency_max": max(latencies, default=0),
        "interval": [after - before for before, after in pairwise(done)][-1] if len(done) > 1 else 0,
        "frames_in": sum(at + COUNT <= cycle for at in happened["good"]),
        "frames_out": len(done),
        "stalls": sum(at + COUNT <= cycle for at in happened["stall"]),
    }


def starts_of(happened):
    """First words of the frames that were good."""
    return [max(first for first in happened["first"] if first <= good) for good in happened["good"]]


async def reset(dut):
    dut.clk.value = 0
    for port in (*EVENTS, "rst_n", "cycles_rst_n", "snapshot", "errors_clear"):
        getattr(dut, port).value = 0
    await tick(dut)
    dut.rst_n.value, dut.cycles_rst_n.value = 1, 1
    await settle()


async def cycle_of(dut, *events, **values):
    for event in EVENTS:
        getattr(dut, event).value = event in events
    for port, otherwise in (("rst_n", 1), ("snapshot", 0), ("errors_clear", 0)):
        getattr(dut, port).value = values.get(port, otherwise)
    await settle()
    await tick(dut)


def read(dut):
    return {name: int(getattr(dut, name).value) for name in ("cycles", *COUNTERS)}


@cocotb.test()
async def every_snapshot_is_what_has_happened(dut):
    for seed in range(6):
        rng = random.Random(seed)
        happened = history(rng, 40)
        copied = expected(happened, 0)
        await reset(dut)
        for cycle in range(max(map(max, filter(None, happened.values()))) + 6):
            snapshot = rng.random() < 0.3
            await cycle_of(dut, *(event for event in EVENTS if cycle in happened[event]), snapshot=snapshot)
            if snapshot:
                copied = expected(happened, cycle)
            assert read(dut) == copied
        assert int(dut.errors.value) == bool(happened["bad_short"]) + 2 * bool(happened["bad_long"])


@cocotb.test()
async def reset_forgets_all_but_the_cycles(dut):
    await reset(dut)
    for events in (
        ("first", "good"),
        ("leave",),
        ("done", "stall", "bad_long"),
        ("first", "good"),
    ):
        await cycle_of(dut, *events)
    await cycle_of(dut, "first", "good", "bad_short", "stall", rst_n=0)  # of no effect
    for _ in range(4):
        await cycle_of(dut)
    await cycle_of(dut, snapshot=1)
    nothing = dict.fromkeys(COUNTERS, 0) | {"latency_min": 0xFFFF_FFFF}
    assert read(dut) == {"cycles": 9, **nothing}
    assert not dut.errors.value
    await cycle_of(dut, rst_n=0)
    assert read(dut) == {"cycles": 0, **nothing}


@cocotb.test()
async def errors_stay_until_cleared_and_a_new_one_wins(dut):
    await reset(dut)
    await cycle_of(dut, "bad_short")
    await cycle_of(dut, "bad_long")
    await cycle_of(dut)
    assert int(dut.errors.value) == 0b011
    await cycle_of(dut, errors_clear=0b001)
    assert int(dut.errors.value) == 0b010
    await cycle_of(dut, "bad_long")
    await cycle_of(dut, errors_clear=0b111)
    assert int(dut.errors.value) == 0b010


@cocotb.test()
async def frames_that_cannot_be_are_an_overflow(dut):
    await reset(dut)
    for _ in range(IN_FLIGHT):
        await cycle_of(dut, "first", "good")
    await cycle_of(dut)
    assert int(dut.errors.value) == 0
    await cycle_of(dut, "first", "good")
    await cycle_of(dut)
    assert int(dut.errors.value) == 0b100
    await reset(dut)
    await cycle_of(dut, "leave")
    await cycle_of(dut)
    assert int(dut.errors.value) == 0b100
