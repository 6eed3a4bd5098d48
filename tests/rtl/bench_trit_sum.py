import itertools

import cocotb
from bench import pack, settle, signed


@cocotb.test()
async def sums_all_trits(dut):
    for a, b, c in itertools.product((-1, 0, 1), repeat=3):
        dut.a.value, dut.b.value, dut.c.value = pack([a], 2), pack([b], 2), pack([c], 2)
        await settle()
        assert signed(dut.y.value, 3) == a + b + c
