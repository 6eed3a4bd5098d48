"""Testbench of cdg_frame_out: words, TLAST and events of random vectors, any traffic, flush at every point."""

import random

import cocotb
from bench import TRAFFIC, Stream, pack, parameters, settle, tick, unpack

P = parameters()
LANES = P["WORD_W"] // P["ELEMENT_W"]
WORDS = -(-P["N"] // LANES)


class Ports:
    """The module's ports by the names that Stream drives; data and last travel as one word on either side."""

    def __init__(self, dut):
        self.clk, self.s_valid, self.s_ready = dut.clk, dut.s_valid, dut.s_ready
        self.m_valid, self.m_ready = dut.m_axis_tvalid, dut.m_axis_tready
        self.s_data, self.m_data = Joined(dut.s_data, dut.s_last), Joined(dut.m_axis_tdata, dut.m_axis_tlast)


class Joined:
    """A vector and the bit above it."""

    def __init__(self, data, last):
        self.data, self.last = data, last

    def __len__(self):
        return len(self.data) + 1

    @property
    def value(self):
        return int(self.last.value) << len(self.data) | int(self.data.value)

    @value.setter
    def value(self, word):
        self.last.value, self.data.value = word >> len(self.data), word & ((1 << len(self.data)) - 1)


def vectors(rng, count):
    """Random vectors with their last flags, and the (word, last) pairs they become."""
    sent, words = [], []
    for _ in range(count):
        vector, last = rng.getrandbits(P["N"] * P["IN_W"]), rng.randrange(2)
        sent.append(last << P["N"] * P["IN_W"] | vector)
        values = unpack(vector, P["N"], P["IN_W"], is_signed=P["IN_SIGNED"])
        flat = pack(values, P["ELEMENT_W"])
        for index in range(WORDS):
            word = flat >> index * P["WORD_W"] & ((1 << P["WORD_W"]) - 1)
            words.append((last if index == WORDS - 1 else 0) << P["WORD_W"] | word)
    return sent, words


async def reset(dut):
    dut.clk.value = 0
    for port in ("rst_n", "flush", "s_valid", "s_data", "s_last", "m_axis_tready"):
        getattr(dut, port).value = 0
    await tick(dut)
    dut.rst_n.value = 1
    await settle()


@cocotb.test()
async def sends_every_element_under_any_traffic(dut):
    for seed, (idle, stall) in enumerate(TRAFFIC):
        sent, words = vectors(random.Random(seed), 30)
        events = {"done": 0, "stall": 0}
        waits = 0

        async def count(events=events):
            nonlocal waits
            for name in events:
                events[name] += int(getattr(dut, name).value)
            waits += int(dut.m_axis_tvalid.value) and not dut.m_axis_tready.value

        await reset(dut)
        stream = Stream(Ports(dut), seed, before_edge=count)
        assert await stream.run(sent, idle=idle, stall=stall, expect=len(words)) == words
        assert events == {"done": 30, "stall": waits}


@cocotb.test()
async def frames_follow_each_other_without_a_gap(dut):
    sent, words = vectors(random.Random(9), 10)
    await reset(dut)
    stream = Stream(Ports(dut))
    assert await stream.run(sent, expect=len(words)) == words
    assert stream.offered == list(range(1, 10 * WORDS + 1))


@cocotb.test()
async def flush_lets_an_offered_frame_end_unseen_and_takes_nothing_in(dut):
    sent, words = vectors(random.Random(5), 3)
    for cycle in range(3 * WORDS + 2):
        await reset(dut)
        found, done, taken = [], 0, 0
        for now in range(5 * WORDS + 4):
            dut.s_valid.value = now <= cycle and taken < 3
            word = sent[min(taken, 2)]
            Ports(dut).s_data.value = word
            dut.m_axis_tready.value = now % 3 != 1
            dut.flush.value = now == cycle
            await settle()
            assert not (now == cycle and dut.s_ready.value)
            if now > cycle:
                assert not dut.done.value
                assert not dut.stall.value
                assert bool(dut.stale.value) == (len(found) < taken * WORDS)
            taken += int(dut.s_valid.value) and int(dut.s_ready.value)
            if dut.m_axis_tvalid.value and dut.m_axis_tready.value:
                found.append(Ports(dut).m_data.value)
                done += int(dut.done.value)
            await tick(dut)
        assert found == words[: taken * WORDS]
        assert done <= taken
        assert not dut.stale.value
