import cocotb
from bench import pack, parameters, settle, signed


@cocotb.test()
async def counts_thresholds_for_all_values(dut):
    p = parameters()
    limits = [signed(p["THRESHOLDS"] >> i * p["IN_W"], p["IN_W"]) for i in range(p["COUNT"])]
    for value in range(-(1 << (p["IN_W"] - 1)), 1 << (p["IN_W"] - 1)):
        dut.value.value = pack([value], p["IN_W"])
        await settle()
        expected = p["BASE"] + sum(value >= limit for limit in limits)
        assert int(dut.y.value) == expected & ((1 << p["OUT_W"]) - 1), value
