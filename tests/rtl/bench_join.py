import itertools

import cocotb
from bench import parameters, settle


@cocotb.test()
async def takes_a_beat_of_all_at_once(dut):
    count = parameters()["COUNT"]
    for valid, ready in itertools.product(range(1 << count), (0, 1)):
        dut.s_valid.value, dut.m_ready.value = valid, ready
        await settle()
        complete = valid == (1 << count) - 1
        assert bool(dut.m_valid.value) == complete
        assert int(dut.s_ready.value) == (valid if complete and ready else 0)
