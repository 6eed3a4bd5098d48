"""Testbench of cdg_frame_store: whole frames in order, begun ones forgotten, its cycles."""

import random

import cocotb
from bench import TRAFFIC, Stream, parameters, reset

WIDTH, ENTRIES = (parameters()[name] for name in ("WIDTH", "ENTRIES"))


class Marks:
    """Sets the marks of each word: of those in ``lengths`` that are not whole only the first."""

    def __init__(self, dut, lengths):
        self.dut = dut
        self.marks = [(i == 0, length == ENTRIES and i == ENTRIES - 1) for length in lengths for i in range(length)]
        self.at = -1

    async def before_edge(self):
        first, complete = self.marks[0] if self.marks else (0, 0)
        self.dut.s_first.value, self.dut.s_complete.value = first, complete
        if self.marks and self.dut.s_valid.value and self.dut.s_ready.value:
            self.marks.pop(0)


async def run(dut, lengths, seed, **traffic):
    rng, words, whole = random.Random(seed), [], []
    for length in lengths:
        frame = [rng.getrandbits(WIDTH) for _ in range(length)]
        words += frame
        whole += frame if length == ENTRIES else []
    dut.s_first.value = dut.s_complete.value = 0
    await reset(dut)
    stream = Stream(dut, seed, Marks(dut, lengths).before_edge)
    assert await stream.run(words, expect=len(whole), **traffic) == whole
    return stream


@cocotb.test()
async def gives_whole_frames_and_no_others_under_any_traffic(dut):
    for seed, (idle, stall) in enumerate(TRAFFIC):
        rng = random.Random(seed)
        lengths = [rng.choice([ENTRIES, ENTRIES, rng.randint(1, ENTRIES)]) for _ in range(20)] + [ENTRIES]
        await run(dut, lengths, seed, idle=idle, stall=stall)


@cocotb.test()
async def takes_and_gives_a_word_per_cycle(dut):
    stream = await run(dut, [ENTRIES] * 6, 1)
    assert stream.accepted == list(range(6 * ENTRIES))
    assert stream.offered == list(range(ENTRIES + 1, 7 * ENTRIES + 1))


@cocotb.test()
async def holds_two_frames(dut):
    dut.s_first.value = dut.s_complete.value = 0
    await reset(dut)
    stream = Stream(dut, 1, Marks(dut, [ENTRIES] * 4).before_edge)
    taken = 0
    try:
        await stream.run([1] * (4 * ENTRIES), stall=1.1)
    except AssertionError:
        taken = len(stream.accepted)
    assert 2 * ENTRIES <= taken <= 2 * ENTRIES + (ENTRIES == 1)
