import random

import cocotb
from bench import parameters, settle, signed


def extended(value, width, is_signed, mask, all_bits):
    """An operand as the adder takes it, modulo 2**all_bits."""
    value = signed(value, width) if is_signed else value
    return (value ^ mask) & ((1 << all_bits) - 1)


@cocotb.test()
async def adds_up(dut):
    given = parameters()
    names = [name for name in "ABC" if f"{name}_W" in given]
    bits = given["Y_W"]
    draw = random.Random(1)
    for count in range(600):
        total = given.get("PLUS", 0)
        for name in names:
            width = given[f"{name}_W"]
            value = (0, (1 << width) - 1, 1 << (width - 1))[count] if count < 3 else draw.getrandbits(width)
            getattr(dut, name.lower()).value = value
            total += extended(value, width, given.get(f"{name}_SIGNED", 0), given.get(f"{name}_INV", 0), bits)
        await settle()
        assert int(dut.y.value) == total % (1 << bits)
