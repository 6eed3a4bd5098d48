import random

import cocotb
from bench import parameters, reset, tick


@cocotb.test()
async def gives_the_slice_of_the_cycle_before(dut):
    p, rng = parameters(), random.Random(1)
    count, width = p["COUNT"], p["WIDTH"]
    await reset(dut)
    for number in [*range(count), *(rng.randrange(count) for _ in range(50))]:
        dut.next.value = number
        dut.slices.value = slices = rng.getrandbits(count * width)
        await tick(dut)
        assert int(dut.chosen.value) == slices >> number * width & ((1 << width) - 1)
