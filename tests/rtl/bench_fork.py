"""Testbench of cdg_fork: every receiver gets every beat once, in order, whatever the others do."""

import random

import cocotb
from bench import parameters, settle, tick


@cocotb.test()
async def every_receiver_gets_every_beat_once(dut):
    count, rng = parameters()["COUNT"], random.Random(1)
    for idle, stalls in [(0, [0] * count), (0.5, [0.5] * count), (0, [0.9] + [0] * (count - 1)), (0.2, [0, 0.8, 0.3])]:
        dut.clk.value, dut.rst_n.value, dut.s_valid.value, dut.m_ready.value = 0, 0, 0, 0
        await tick(dut)
        dut.rst_n.value = 1
        sent, offered, received = 0, False, [[] for _ in range(count)]
        while sent < 100:
            offered = offered or rng.random() >= idle
            dut.s_valid.value = offered
            ready = [rng.random() >= stall for stall in stalls[:count]]
            dut.m_ready.value = sum(bit << i for i, bit in enumerate(ready))
            await settle()
            valid = int(dut.m_valid.value)
            for i in range(count):
                if valid >> i & 1 and ready[i]:
                    received[i].append(sent)
            if offered and dut.s_ready.value:
                assert all(len(beats) == sent + 1 for beats in received)
                sent, offered = sent + 1, False
            await tick(dut)
        assert received == [list(range(100))] * count


@cocotb.test()
async def valid_never_waits_for_ready(dut):
    dut.clk.value, dut.rst_n.value, dut.s_valid.value, dut.m_ready.value = 0, 0, 1, 0
    await tick(dut)
    dut.rst_n.value = 1
    for _ in range(3):
        await settle()
        assert int(dut.m_valid.value) == (1 << parameters()["COUNT"]) - 1
        assert not dut.s_ready.value
        await tick(dut)
