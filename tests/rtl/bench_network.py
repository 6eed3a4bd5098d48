"""Testbench of a whole generated network: bits, latency and interval, under any traffic."""

import json
import os

import cocotb
from bench import TRAFFIC, Stream, pack, reset, unpack

EXPECTED = json.loads(os.environ.get("BENCH_EXPECTED", "{}"))


class Axis:
    """The network's ports by the names that Stream drives."""

    def __init__(self, dut):
        self.clk, self.rst_n = dut.clk, dut.rst_n
        self.s_valid, self.s_ready, self.s_data = dut.s_axis_tvalid, dut.s_axis_tready, dut.s_axis_tdata
        self.m_valid, self.m_ready, self.m_data = dut.m_axis_tvalid, dut.m_axis_tready, dut.m_axis_tdata


def results(words):
    bits = EXPECTED["output_bits"]
    return [unpack(word, len(EXPECTED["outputs"][0]), bits) for word in words]


@cocotb.test()
async def equals_the_graph_under_any_traffic(dut):
    axis = Axis(dut)
    words = [pack(vector, EXPECTED["input_bits"]) for vector in EXPECTED["inputs"]]
    for idle, stall in TRAFFIC:
        await reset(axis)
        assert results(await Stream(axis).run(words, idle=idle, stall=stall)) == EXPECTED["outputs"]


@cocotb.test()
async def keeps_its_schedule(dut):
    axis = Axis(dut)
    words = [pack(vector, EXPECTED["input_bits"]) for vector in EXPECTED["inputs"]]
    await reset(axis)
    stream = Stream(axis)
    assert results(await stream.run(words)) == EXPECTED["outputs"]
    assert stream.latencies[0] == EXPECTED["latency"]
    assert set(stream.intervals[len(words) // 2 :]) == {EXPECTED["interval"]}
