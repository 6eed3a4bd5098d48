import random

import cocotb
from bench import parameters, settle


@cocotb.test()
async def chooses_every_bit(dut):
    count, rng = parameters()["COUNT"], random.Random(1)
    for bits in [0, (1 << count) - 1, *(rng.getrandbits(count) for _ in range(50))]:
        dut.bits.value = bits
        for select in range(count):
            dut.select.value = select
            await settle()
            assert int(dut.data.value) == bits >> select & 1
