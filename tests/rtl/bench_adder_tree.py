import random

import cocotb
from bench import pack, parameters, settle, signed, tick


@cocotb.test()
async def sums_a_vector_every_cycle(dut):
    p, rng = parameters(), random.Random(1)
    count, width = p["N"], p["W"]
    levels = (count - 1).bit_length()
    latency = (levels - 1) // p["REG"] if levels else 0
    low = -(1 << (width - 1)) if p["IS_SIGNED"] else 0
    high = low + (1 << width) - 1
    vectors = [[low] * count, [high] * count]
    vectors += [[rng.randint(low, high) for _ in range(count)] for _ in range(200)]
    pipeline = []  # sums in flight, the youngest first
    dut.clk.value = 0
    for vector in vectors:
        dut.operands.value = pack(vector, width)
        await settle()
        stages = [sum(vector), *pipeline]
        if len(stages) > latency:
            found = signed(dut.sum.value, width + levels) if p["IS_SIGNED"] else int(dut.sum.value)
            assert found == stages[latency]
        pipeline = stages[:latency]
        await tick(dut)
