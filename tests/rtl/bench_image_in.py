"""Testbench of cdg_image_in: the pixels of whole images, and of no others, under any traffic, flush and reset."""

import itertools
import random

import cocotb
import frame_traffic
from bench import TRAFFIC, pack, parameters, unpack
from frame_traffic import random_packets, reset

WORD_W, PIXEL_W, PIXELS, PER_WORD = (parameters()[name] for name in ("WORD_W", "PIXEL_W", "PIXELS", "PER_WORD"))
ENTRY_WORDS = -(-PER_WORD * PIXEL_W // WORD_W)
WORDS = PIXELS // PER_WORD * ENTRY_WORDS


def pixels_of(words):
    entries = [words[start : start + ENTRY_WORDS] for start in range(0, WORDS, ENTRY_WORDS)]
    wide = [pack(entry, WORD_W) & ((1 << PER_WORD * PIXEL_W) - 1) for entry in entries]
    return [pixel for entry in wide for pixel in unpack(entry, PER_WORD, PIXEL_W, is_signed=False)]


async def play(dut, packets, rng, **traffic):
    """Send ``packets``; what is seen are pixels, with the frames' announcements in ``lasts``."""
    lasts = []

    def observe(seen, cycle):
        if dut.frame_valid.value and dut.frame_ready.value:
            lasts.append(int(dut.frame_last.value))
        if dut.m_valid.value and dut.m_ready.value:
            assert len(seen.frames) < PIXELS * len(lasts), "a pixel of an image that was not announced"
            seen.frames.append(int(dut.m_data.value))
            seen.left.append(cycle)

    return await frame_traffic.play(dut, packets, rng, observe, **traffic), lasts


def expected(packets, bursts):
    frames, events = frame_traffic.expected(packets, WORDS, bursts)
    return [pixel for words, _ in frames for pixel in pixels_of(words)], [last for _, last in frames], events


@cocotb.test()
async def offers_whole_images_and_no_others_under_any_traffic(dut):
    for bursts in (0, 1):
        for seed, (idle, stall) in enumerate(TRAFFIC):
            rng = random.Random(seed)
            packets = random_packets(rng, 25, WORDS, WORD_W, bursts)
            await reset(dut, bursts)
            seen, lasts = await play(dut, packets, rng, idle=idle, stall=stall)
            assert (seen.frames, lasts, seen.events) == expected(packets, bursts)


@cocotb.test()
async def takes_a_word_and_gives_a_pixel_per_cycle(dut):
    rng = random.Random(1)
    await reset(dut)
    seen, _ = await play(dut, [[rng.getrandbits(WORD_W) for _ in range(WORDS)]], rng)
    begun = WORDS + 2 + (PER_WORD > 1)
    assert seen.left == list(range(begun, begun + PIXELS))
    packets = [[rng.getrandbits(WORD_W) for _ in range(WORDS)] for _ in range(10)]
    await reset(dut)
    seen, _ = await play(dut, packets, rng)
    ends = seen.left[PIXELS - 1 :: PIXELS]
    assert [after - before for before, after in itertools.pairwise(ends[4:])] == [max(WORDS, PIXELS)] * 5


@cocotb.test()
async def flush_and_reset_leave_nothing_of_what_was_before(dut):
    rng = random.Random(2)
    packets = [[rng.getrandbits(WORD_W) for _ in range(WORDS)] for _ in range(3)]
    for how in ("flush_at", "reset_at"):
        for cycle in range(0, 3 * WORDS, 1 + WORDS // 7):
            await reset(dut)
            seen, _ = await play(dut, packets, random.Random(3), **{how: cycle})
            whole, words = divmod(sum(taken <= cycle for taken in seen.taken), WORDS)
            rest = [packets[whole][words:]] * (how == "reset_at") + packets[whole + 1 :] if words else packets[whole:]
            gone = sum(left < cycle for left in seen.left)
            assert seen.frames == expected(packets, 0)[0][:gone] + expected(rest, 0)[0]
