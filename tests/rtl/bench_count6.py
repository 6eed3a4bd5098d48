import cocotb
from bench import settle


@cocotb.test()
async def counts_all(dut):
    for x in range(64):
        dut.x.value = x
        await settle()
        assert int(dut.y.value) == x.bit_count()
