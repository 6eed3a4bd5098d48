"""Testbench of the modules that pass words on unchanged: cdg_skid and cdg_fifo."""

import random

import cocotb
from bench import TRAFFIC, Stream, parameters, reset, settle, tick


@cocotb.test()
async def keeps_order_under_any_traffic(dut):
    rng = random.Random(1)
    await reset(dut)
    for idle, stall in TRAFFIC:
        words = [rng.getrandbits(parameters()["WIDTH"]) for _ in range(150)]
        assert await Stream(dut).run(words, idle=idle, stall=stall) == words


@cocotb.test()
async def passes_a_word_per_cycle_after_one(dut):
    await reset(dut)
    stream = Stream(dut)
    await stream.run(range(40))
    assert set(stream.latencies) == {1}
    # a single place is free again in the cycle after its word has left
    assert set(stream.intervals) == {2 if parameters().get("DEPTH") == 1 else 1}


@cocotb.test()
async def accepts_its_capacity_and_no_more(dut):
    await reset(dut)
    capacity = parameters().get("DEPTH", 2)
    dut.s_valid.value, dut.m_ready.value = 1, 0
    for word in range(capacity):
        dut.s_data.value = word
        await settle()
        assert dut.s_ready.value
        await tick(dut)
    assert not dut.s_ready.value
    dut.s_valid.value = 0
    assert await Stream(dut).run([], expect=capacity) == list(range(capacity))
    assert not dut.m_valid.value
