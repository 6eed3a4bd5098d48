"""Testbench of cdg_split: parts in order, and the cycle of every beat."""

import random

import cocotb
from bench import TRAFFIC, Stream, pack, parameters, reset

from hw import cycles


def beats(count, seed):
    p, rng = parameters(), random.Random(seed)
    return [[rng.getrandbits(p["WIDTH"]) for _ in range(p["COUNT"])] for _ in range(count)]


def wide(some):
    return [pack(parts, parameters()["WIDTH"]) for parts in some]


@cocotb.test()
async def splits_under_any_traffic(dut):
    for seed, (idle, stall) in enumerate(TRAFFIC):
        await reset(dut)
        some = beats(20, seed)
        expected = [part for parts in some for part in parts]
        assert await Stream(dut, seed).run(wide(some), idle=idle, stall=stall, expect=len(expected)) == expected


@cocotb.test()
async def keeps_its_cycles(dut):
    await reset(dut)
    some, count = beats(10, 3), parameters()["COUNT"]
    model = cycles.Network(1, count)
    model.modules.append(cycles.split(model.source, model.sink, 1, count))
    model.run(len(some))
    stream = Stream(dut)
    await stream.run(wide(some), expect=len(some) * count)
    assert stream.accepted == [model.source.take(beat) for beat in range(len(stream.accepted))]
    assert stream.offered == model.sink.offer
