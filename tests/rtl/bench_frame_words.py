"""Testbench of cdg_frame_words: what its marks say of packets of right and wrong lengths, under any traffic."""

import random

import cocotb
import frame_traffic
from bench import TRAFFIC, parameters
from frame_traffic import expected, random_packets, reset

WORD_W, WORDS = (parameters()[name] for name in ("WORD_W", "WORDS"))


async def play(dut, packets, rng, **traffic):
    """Send ``packets``; frames are what the marks make of the words."""
    words = []

    def observe(seen, cycle):
        if not (dut.m_valid.value and dut.m_ready.value and dut.m_keep.value):
            return
        if dut.m_first.value:
            words.clear()
        words.append(int(dut.m_data.value))
        if dut.m_complete.value:
            seen.frames.append((list(words), int(dut.m_last.value)))
            seen.left.append(cycle)

    return await frame_traffic.play(dut, packets, rng, observe, **traffic)


@cocotb.test()
async def marks_good_frames_and_no_others_under_any_traffic(dut):
    for bursts in (0, 1):
        for seed, (idle, stall) in enumerate(TRAFFIC):
            rng = random.Random(seed)
            packets = random_packets(rng, 40, WORDS, WORD_W, bursts)
            await reset(dut, bursts)
            seen = await play(dut, packets, rng, idle=idle, stall=stall)
            assert (seen.frames, seen.events) == expected(packets, WORDS, bursts)


@cocotb.test()
async def a_word_per_cycle_each_one_cycle_later(dut):
    rng = random.Random(1)
    packets = [[rng.getrandbits(WORD_W) for _ in range(WORDS)] for _ in range(9)]
    await reset(dut)
    seen = await play(dut, packets, rng)
    assert seen.taken == list(range(9 * WORDS))
    assert seen.left == list(range(WORDS, 10 * WORDS, WORDS))


@cocotb.test()
async def flush_and_reset_leave_nothing_of_what_was_before(dut):
    rng = random.Random(2)
    packets = [[rng.getrandbits(WORD_W) for _ in range(WORDS)] for _ in range(3)]
    for how in ("flush_at", "reset_at"):
        for cycle in range(3 * WORDS):
            await reset(dut)
            seen = await play(dut, packets, random.Random(3), **{how: cycle})
            whole, words = divmod(sum(taken <= cycle for taken in seen.taken), WORDS)
            rest = [packets[whole][words:]] * (how == "reset_at") + packets[whole + 1 :] if words else packets[whole:]
            gone = sum(left < cycle for left in seen.left)
            assert seen.frames == expected(packets, WORDS, 0)[0][:gone] + expected(rest, WORDS, 0)[0]
