import cocotb
from bench import pack, parameters, settle, signed


@cocotb.test()
async def thresholds_all(dut):
    width = parameters()["ACC_W"]
    values = range(-(1 << (width - 1)), 1 << (width - 1))
    for low in values:
        for high in range(low, values.stop):
            dut.t_neg.value, dut.t_pos.value = pack([low], width), pack([high], width)
            for acc in values:
                dut.acc.value = pack([acc], width)
                await settle()
                assert signed(dut.y.value, 2) == (1 if acc >= high else -1 if acc < low else 0)
