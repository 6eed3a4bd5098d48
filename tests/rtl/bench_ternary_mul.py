import cocotb
from bench import pack, settle, signed

TRITS = (-1, 0, 1)


@cocotb.test()
async def multiplies_all_trits(dut):
    for a in TRITS:
        for b in TRITS:
            dut.a.value, dut.b.value = pack([a], 2), pack([b], 2)
            await settle()
            assert signed(dut.y.value, 2) == a * b
