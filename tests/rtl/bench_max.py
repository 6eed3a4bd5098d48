import random

import cocotb
from bench import pack, parameters, settle, unpack


@cocotb.test()
async def finds_the_largest_of_every_channel(dut):
    p, rng = parameters(), random.Random(1)
    low = -(1 << (p["WIDTH"] - 1)) if p["IS_SIGNED"] else 0
    high = low + (1 << p["WIDTH"]) - 1
    pixels = [[low] * p["CHANNELS"] for _ in range(p["COUNT"])]
    for _ in range(300):
        dut.x.value = pack([element for pixel in pixels for element in pixel], p["WIDTH"])
        await settle()
        found = unpack(int(dut.y.value), p["CHANNELS"], p["WIDTH"], is_signed=bool(p["IS_SIGNED"]))
        assert found == [max(channel) for channel in zip(*pixels, strict=True)]
        pixels = [[rng.randint(low, high) for _ in range(p["CHANNELS"])] for _ in range(p["COUNT"])]
