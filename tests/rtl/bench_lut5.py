import cocotb
from bench import parameters, settle


@cocotb.test()
async def gives_the_entry_of_every_table(dut):
    p = parameters()
    for x in range(32):
        dut.x.value = x
        await settle()
        entries = [p["TABLE"] >> (32 * k + x) & 1 for k in range(p["WIDTH"])]
        assert int(dut.y.value) == sum(bit << k for k, bit in enumerate(entries))
