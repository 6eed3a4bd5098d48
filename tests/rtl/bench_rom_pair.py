import cocotb
from bench import parameters, settle


@cocotb.test()
async def reads_every_word(dut):
    p = parameters()
    for word in range(p["DEPTH"]):
        dut.addr.value = word
        await settle()
        assert int(dut.data.value) == (p["HIGH"] >> word & 1) << 1 | p["LOW"] >> word & 1
