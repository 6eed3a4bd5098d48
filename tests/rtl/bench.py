"""What the testbenches share: parameters, a hand-driven clock, and a valid/ready stream with idle and stall."""

from __future__ import annotations

import json
import os
import random

from cocotb.triggers import Timer

# (chance of an idle source, chance of a stalled sink) in each cycle
TRAFFIC = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5), (0.1, 0.9), (0.9, 0.1)]


def parameters():
    """The parameters that this build was elaborated with."""
    return json.loads(os.environ["BENCH_PARAMETERS"])


def signed(value, bits):
    """Integer of ``bits`` read as two's complement."""
    value = int(value) & ((1 << bits) - 1)
    return value - (1 << bits) if value >> (bits - 1) else value


def pack(values, bits):
    """Flat vector with element i at ``[i * bits +: bits]``."""
    return sum((int(value) & ((1 << bits) - 1)) << (i * bits) for i, value in enumerate(values))


def unpack(word, count, bits, *, is_signed=True):
    """Elements of a flat vector."""
    values = [int(word) >> (i * bits) & ((1 << bits) - 1) for i in range(count)]
    return [signed(value, bits) for value in values] if is_signed else values


async def settle():
    """Let combinational logic follow the inputs."""
    await Timer(1, "ns")


async def tick(dut):
    """One rising edge."""
    dut.clk.value = 1
    await settle()
    dut.clk.value = 0
    await settle()


async def reset(dut):
    """Hold reset for two cycles with nothing offered and nothing taken."""
    dut.clk.value = 0
    dut.rst_n.value = 0
    for port in ("s_valid", "s_data", "m_ready"):
        if hasattr(dut, port):
            getattr(dut, port).value = 0
    for _ in range(2):
        await tick(dut)
    dut.rst_n.value = 1
    await settle()


class Stream:
    """Sends words into ``s_*`` and takes what ``m_*`` offers; holds the rules of the handshake.

    ``accepted`` and ``offered``: the cycles in which each beat was taken at ``s_*`` and first valid at ``m_*``.
    ``before_edge`` is called in every cycle once inputs are set, for signals that hang on others.
    """

    def __init__(self, dut, seed=1, before_edge=None):
        self.dut, self.random, self.before_edge = dut, random.Random(seed), before_edge
        self.cycle = 0

    async def run(self, words, *, idle=0.0, stall=0.0, expect=None):
        dut, outputs = self.dut, []
        self.accepted, self.offered = [], []
        pending, waiting = list(words), None
        expect = len(pending) if expect is None else expect
        valid, patience = False, 0
        while len(outputs) < expect:
            valid = valid or (bool(pending) and self.random.random() >= idle)
            dut.s_valid.value = valid
            dut.s_data.value = pending[0] if valid else self.random.getrandbits(len(dut.s_data))
            dut.m_ready.value = self.random.random() >= stall
            await settle()
            if self.before_edge:
                await self.before_edge()
            taken = bool(dut.m_valid.value) and bool(dut.m_ready.value)
            waiting = self._watch_output(waiting)
            if taken:
                outputs.append(int(dut.m_data.value))
                waiting = None
            if valid and dut.s_ready.value:
                self.accepted.append(self.cycle)
                pending.pop(0)
                valid = False
            patience = 0 if taken else patience + 1
            assert patience < 2000, f"stuck after {len(outputs)} of {expect} beats"
            await tick(dut)
            self.cycle += 1
        dut.s_valid.value = 0
        return outputs

    def _watch_output(self, waiting):
        """Data must hold while stalled; notes when a beat is first offered."""
        dut = self.dut
        if not dut.m_valid.value:
            assert waiting is None, "m_valid fell before the beat was taken"
            return None
        data = int(dut.m_data.value)
        if waiting is None:
            self.offered.append(self.cycle)
        else:
            assert data == waiting, "m_data changed while stalled"
        return data

    @property
    def latencies(self):
        return [out - into for into, out in zip(self.accepted, self.offered, strict=True)]

    @property
    def intervals(self):
        return [after - before for before, after in zip(self.accepted, self.accepted[1:], strict=False)]
