import random
from collections import deque

import cocotb
from bench import pack, parameters, settle, tick


def cases(rng, count, low, high):
    """Extremes in every place, ties of the largest, and random vectors with many equal elements."""
    for place in range(count):
        yield [low] * place + [high] + [low] * (count - place - 1)
        yield [low] * place + [high] * (count - place)
    yield [low] * count
    for _ in range(300):
        most = rng.choice([low + 1, rng.randint(low, high), high])
        yield [rng.randint(low, most) for _ in range(count)]


@cocotb.test()
async def finds_the_first_of_the_largest(dut):
    p, rng = parameters(), random.Random(1)
    low = -(1 << (p["WIDTH"] - 1)) if p["IS_SIGNED"] else 0
    high = low + (1 << p["WIDTH"]) - 1
    latency = p["REGISTERS"].bit_count()
    dut.clk.value = 0
    waiting, found = deque(), 0
    for values in cases(rng, p["COUNT"], low, high):
        dut.x.value = pack(values, p["WIDTH"])
        await settle()
        waiting.append(values.index(max(values)))  # list.index gives the first, as numpy.argmax does
        if len(waiting) > latency:
            assert int(dut.y.value) == waiting.popleft()
            found += 1
        await tick(dut)
    assert found > 300
