"""Testbench of cdg_reduce: sums and maxima of whole frames in order, and the cycle of every beat."""

import random

import cocotb
from bench import TRAFFIC, Stream, pack, parameters, reset

from hw import cycles

P = {"COUNT": 4, "CHANNELS": 1, "WIDTH": 2, "OUT_W": 2, "IS_SIGNED": 0, "LARGEST": 1}


def frames(count, seed):
    """Of pixels whose sums keep within OUT_W; the first two of nothing but the lowest and the highest one."""
    p, rng = P | parameters(), random.Random(seed)
    (low, high), (least, most) = (extremes(p[name], p["IS_SIGNED"]) for name in ("WIDTH", "OUT_W"))
    if not p["LARGEST"]:
        low, high = max(low, -(-least // p["COUNT"])), min(high, most // p["COUNT"])

    def frame(low, high):
        return [[rng.randint(low, high) for _ in range(p["CHANNELS"])] for _ in range(p["COUNT"])]

    return [frame(low, low), frame(high, high), *(frame(low, high) for _ in range(count))]


def extremes(bits, is_signed):
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if is_signed else (0, (1 << bits) - 1)


def pixels(some):
    return [pack(pixel, (P | parameters())["WIDTH"]) for frame in some for pixel in frame]


def results(some):
    p = P | parameters()
    take = max if p["LARGEST"] else sum
    return [pack([take(channel) for channel in zip(*frame, strict=True)], p["OUT_W"]) for frame in some]


@cocotb.test()
async def reduces_under_any_traffic(dut):
    for seed, (idle, stall) in enumerate(TRAFFIC):
        await reset(dut)
        some = frames(20, seed)
        expected = results(some)
        assert await Stream(dut, seed).run(pixels(some), idle=idle, stall=stall, expect=len(expected)) == expected


@cocotb.test()
async def begins_anew_after_a_reset(dut):
    await reset(dut)
    await Stream(dut).run(pixels(frames(2, 1))[:-1], expect=3)
    await reset(dut)
    some = frames(2, 2)[::-1]
    assert await Stream(dut).run(pixels(some), expect=len(some)) == results(some)


@cocotb.test()
async def keeps_its_cycles(dut):
    await reset(dut)
    some, count = frames(10, 3), (P | parameters())["COUNT"]
    model = cycles.Network(count, 1)
    model.modules.append(cycles.gather(model.source, model.sink, count, count))
    model.run(len(some))
    stream = Stream(dut)
    await stream.run(pixels(some), expect=len(some))
    assert stream.accepted == [model.source.take(beat) for beat in range(len(stream.accepted))]
    assert stream.offered == model.sink.offer
