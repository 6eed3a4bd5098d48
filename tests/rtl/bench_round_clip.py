from fractions import Fraction

import cocotb
from bench import pack, parameters, settle, signed


@cocotb.test()
async def rounds_and_clips_all(dut):
    p = parameters()
    half = (1 << p["SHIFT"]) // 2
    for value in range(-(1 << (p["IN_W"] - 1)), 1 << (p["IN_W"] - 1)):
        dut.value.value = pack([value], p["IN_W"])
        await settle()
        found = signed(dut.y.value, p["OUT_W"]) if p["OUT_SIGNED"] else int(dut.y.value)
        # the caller has added half a step
        rounded = round(Fraction(value - half, 1 << p["SHIFT"]))
        assert found == min(max(rounded, p["LO"]), p["HI"]), value
