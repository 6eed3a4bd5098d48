import random

import cocotb
from bench import parameters, settle


@cocotb.test()
async def carries_like_a_chain(dut):
    width = parameters()["W"]
    draw = random.Random(1)
    for _ in range(400):
        s, di, ci = draw.getrandbits(width), draw.getrandbits(width), draw.getrandbits(1)
        dut.s.value, dut.di.value, dut.ci.value = s, di, ci
        await settle()
        carry, expected = ci, 0
        for bit in range(width):
            expected |= ((s >> bit & 1) ^ carry) << bit
            carry = carry if s >> bit & 1 else di >> bit & 1
        assert int(dut.o.value) == expected
