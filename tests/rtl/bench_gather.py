"""Testbench of cdg_gather: whole beats in order, and the cycle of every beat."""

import random

import cocotb
from bench import TRAFFIC, Stream, pack, parameters, reset

from hw import cycles


def beats(count, seed):
    p, rng = parameters(), random.Random(seed)
    return [[rng.getrandbits(p["WIDTH"]) for _ in range(p["COUNT"])] for _ in range(count)]


@cocotb.test()
async def gathers_under_any_traffic(dut):
    for seed, (idle, stall) in enumerate(TRAFFIC):
        await reset(dut)
        some = beats(20, seed)
        expected = [pack(parts, parameters()["WIDTH"]) for parts in some]
        words = [part for parts in some for part in parts]
        assert await Stream(dut, seed).run(words, idle=idle, stall=stall, expect=len(expected)) == expected


@cocotb.test()
async def keeps_its_cycles(dut):
    await reset(dut)
    some, count = beats(10, 3), parameters()["COUNT"]
    model = cycles.Network(count, 1)
    model.modules.append(cycles.gather(model.source, model.sink, count, count))
    model.run(len(some))
    stream = Stream(dut)
    await stream.run([part for parts in some for part in parts], expect=len(some))
    assert stream.accepted == [model.source.take(beat) for beat in range(len(stream.accepted))]
    assert stream.offered == model.sink.offer
