import cocotb
from bench import pack, parameters, settle, signed


@cocotb.test()
async def selects_all(dut):
    width, is_signed = parameters()["X_W"], parameters()["X_SIGNED"]
    for plain in range(1 << width):
        x = signed(plain, width) if is_signed else plain
        for trit, expected in ((1, x), (0, 0), (-1, -x - 1)):
            dut.x.value, dut.trit.value = plain, pack([trit], 2)
            await settle()
            assert signed(dut.y.value, width + (not is_signed)) == expected
