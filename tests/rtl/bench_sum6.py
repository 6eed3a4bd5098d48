import random

import cocotb
from bench import pack, parameters, settle


@cocotb.test()
async def sums_six(dut):
    width, rng = parameters()["W"], random.Random(1)
    highest = (1 << width) - 1
    vectors = [[0] * 6, [highest] * 6, *([rng.randint(0, highest) for _ in range(6)] for _ in range(300))]
    for x in vectors:
        dut.x.value = pack(x, width)
        await settle()
        assert int(dut.y.value) == sum(x)
