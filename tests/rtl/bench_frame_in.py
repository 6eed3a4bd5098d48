"""Testbench of cdg_frame_in: packets of right and wrong lengths, any traffic, flush and reset at every point."""

import random

import cocotb
import frame_traffic
from bench import TRAFFIC, pack, parameters
from frame_traffic import random_packets, reset

WORD_W, FRAME_W = (parameters()[name] for name in ("WORD_W", "FRAME_W"))
WORDS = -(-FRAME_W // WORD_W)


def expected(packets, bursts):
    """Frames of ``packets`` as (data, last), and counts of events."""
    frames, events = frame_traffic.expected(packets, WORDS, bursts)
    return [(pack(words, WORD_W) & ((1 << FRAME_W) - 1), last) for words, last in frames], events


async def play(dut, packets, rng, **traffic):
    """Send ``packets`` and take the frames that come."""

    def observe(seen, cycle):
        if dut.m_valid.value and dut.m_ready.value:
            seen.frames.append((int(dut.m_data.value), int(dut.m_last.value)))
            seen.left.append(cycle)

    return await frame_traffic.play(dut, packets, rng, observe, **traffic)


@cocotb.test()
async def keeps_good_frames_and_drops_bad_ones_under_any_traffic(dut):
    for bursts in (0, 1):
        for seed, (idle, stall) in enumerate(TRAFFIC):
            rng = random.Random(seed)
            packets = random_packets(rng, 40, WORDS, WORD_W, bursts)
            await reset(dut, bursts)
            seen = await play(dut, packets, rng, idle=idle, stall=stall)
            assert (seen.frames, seen.events) == expected(packets, bursts)


@cocotb.test()
async def takes_a_word_per_cycle_and_offers_the_frame_in_the_next(dut):
    rng = random.Random(1)
    packets = [[rng.getrandbits(WORD_W) for _ in range(WORDS)] for _ in range(12)]
    await reset(dut)
    seen = await play(dut, packets, rng)
    assert seen.taken == list(range(12 * WORDS))
    assert seen.left == list(range(WORDS, 13 * WORDS, WORDS))


@cocotb.test()
async def flush_drops_the_packet_that_has_begun(dut):
    await cut(dut, "flush_at", lambda packet_rest: [])


@cocotb.test()
async def after_reset_the_next_word_begins_a_frame(dut):
    await cut(dut, "reset_at", lambda packet_rest: [packet_rest])


async def cut(dut, how, kept):
    """Interrupt four packets of two frames in every cycle; the word taken in that cycle belongs to what was before."""
    rng = random.Random(2)
    packets = [[rng.getrandbits(WORD_W) for _ in range(2 * WORDS)] for _ in range(4)]
    for cycle in range(8 * WORDS):
        await reset(dut, 1)
        seen = await play(dut, packets, random.Random(3), **{how: cycle})
        number, words = divmod(sum(taken <= cycle for taken in seen.taken), 2 * WORDS)
        rest = [*kept(packets[number][words:]), *packets[number + 1 :]] if words else packets[number:]
        gone = sum(left < cycle for left in seen.left)
        assert gone == max(cycle - 1, 0) // WORDS
        assert seen.frames == expected(packets, 1)[0][:gone] + expected(rest, 1)[0]
        assert not dut.receiving.value
