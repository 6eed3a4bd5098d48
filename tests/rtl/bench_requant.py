from fractions import Fraction

import cocotb
from bench import pack, parameters, settle, signed, tick


@cocotb.test()
async def rounds_and_clips_all(dut):
    p = parameters()
    low, high, values = p["LO"], p["HI"], 1 << p["V_W"]
    dut.clk.value = 0
    for up in range(1 << p["UP_W"]):
        for bias in (-3, 0, 1):
            for acc in range(-(1 << (p["ACC_W"] - 1)), 1 << (p["ACC_W"] - 1)):
                v = (acc << up) + bias
                if not -values // 2 <= v < values // 2:
                    continue
                dut.acc.value, dut.up.value = pack([acc], p["ACC_W"]), up
                dut.bias.value = pack([bias], p["V_W"])
                await settle()
                await tick(dut)
                rounded = round(Fraction(v, 1 << p["SHIFT"]))  # Python rounds half to even
                found = int(dut.y.value) if low >= 0 else signed(dut.y.value, p["OUT_W"])
                assert found == min(max(rounded, low), high), (acc, up, bias)
