import random

import cocotb
from bench import TRAFFIC, Stream, parameters, reset


@cocotb.test()
async def loses_nothing_under_any_traffic(dut):
    rng = random.Random(1)
    mask = (1 << parameters()["WIDTH"]) - 1
    await reset(dut)
    for idle, stall in TRAFFIC:
        words = [rng.randint(0, mask) for _ in range(150)]
        assert await Stream(dut).run(words, idle=idle, stall=stall) == [3 * word + 1 & mask for word in words]


@cocotb.test()
async def takes_a_beat_per_cycle(dut):
    await reset(dut)
    stream = Stream(dut)
    await stream.run(range(60))
    assert set(stream.intervals) == {1}
    assert set(stream.latencies) == {parameters()["LATENCY"] + 1}
