import cocotb
from bench import pack, parameters, settle, signed


@cocotb.test()
async def selects_all(dut):
    width, is_signed = parameters()["X_W"], parameters()["X_SIGNED"]
    lowest, span = -(1 << (width - 1)) if is_signed else 0, 1 << width
    for plain in range(span):
        x = signed(plain, width) if is_signed else plain
        # counted from the lowest value that +1 and -1 times any x can have
        for trit, expected in ((1, x - lowest), (0, 0), (-1, lowest + span - 1 - x)):
            dut.x.value, dut.trit.value = plain, pack([trit], 2)
            await settle()
            assert int(dut.y.value) == expected
