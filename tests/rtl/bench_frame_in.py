"""Testbench of cdg_frame_in: packets of right and wrong lengths, any traffic, flush and reset at every point."""

import random
from dataclasses import dataclass, field

import cocotb
from bench import TRAFFIC, pack, parameters, settle, tick

WORD_W, FRAME_W = (parameters()[name] for name in ("WORD_W", "FRAME_W"))
WORDS = -(-FRAME_W // WORD_W)
EVENTS = ("first", "good", "bad_short", "bad_long")


@dataclass
class Seen:
    """Frames that left as (data, last), the cycles in which they did, cycles of words taken, and counts of events."""

    frames: list = field(default_factory=list)
    left: list = field(default_factory=list)
    taken: list = field(default_factory=list)
    events: dict = field(default_factory=lambda: dict.fromkeys(EVENTS, 0))


def expected(packets, bursts):
    """Frames of ``packets`` and counts of events, by the rules of the module's header."""
    frames, events = [], dict.fromkeys(EVENTS, 0)
    for packet in packets:
        for start in range(0, len(packet), WORDS):
            words, ends = packet[start : start + WORDS], start + WORDS >= len(packet)
            events["first"] += 1
            if len(words) < WORDS:
                events["bad_short"] += 1
            elif not ends and not bursts:
                events["bad_long"] += 1
                break
            else:
                events["good"] += 1
                frames.append((pack(words, WORD_W) & ((1 << FRAME_W) - 1), int(ends)))
    return frames, events


def random_packets(rng, count, bursts):
    lengths = [WORDS * frames + extra for frames in range(4) for extra in (-1, 0, 1)]
    lengths = [length for length in lengths if length > 0] + [WORDS * (1 + bursts)] * len(lengths)
    return [[rng.getrandbits(WORD_W) for _ in range(rng.choice(lengths))] for _ in range(count)]


async def reset(dut, bursts=0):
    dut.clk.value = 0
    for port in ("rst_n", "flush", "s_axis_tvalid", "s_axis_tdata", "s_axis_tlast", "m_ready"):
        getattr(dut, port).value = 0
    dut.bursts.value = bursts
    await tick(dut)
    dut.rst_n.value = 1
    await settle()


async def play(dut, packets, rng, *, idle=0.0, stall=0.0, flush_at=None, reset_at=None):
    """Send ``packets`` word by word and take what comes, until all is sent and quiet."""
    seen, quiet, cycle, valid = Seen(), 0, 0, False
    pending = [(word, index == len(packet) - 1) for packet in packets for index, word in enumerate(packet)]
    while quiet < 4:
        valid = valid or (bool(pending) and rng.random() >= idle)
        dut.s_axis_tvalid.value = valid
        dut.s_axis_tdata.value, dut.s_axis_tlast.value = pending[0] if valid else (rng.getrandbits(WORD_W), 0)
        dut.m_ready.value = rng.random() >= stall
        dut.flush.value = cycle == flush_at
        dut.rst_n.value = cycle != reset_at
        await settle()
        whole = cycle not in {flush_at, reset_at}
        if dut.m_valid.value and dut.m_ready.value and whole:
            seen.frames.append((int(dut.m_data.value), int(dut.m_last.value)))
            seen.left.append(cycle)
        for event in EVENTS:
            seen.events[event] += int(getattr(dut, event).value) * whole
        if valid and dut.s_axis_tready.value:
            seen.taken.append(cycle)
            pending.pop(0)
            valid = False
        quiet = quiet + 1 if not pending and not dut.m_valid.value else 0
        assert cycle < 20_000, f"stuck with {len(pending)} words to send"
        await tick(dut)
        cycle += 1
    dut.s_axis_tvalid.value = 0
    return seen


@cocotb.test()
async def keeps_good_frames_and_drops_bad_ones_under_any_traffic(dut):
    for bursts in (0, 1):
        for seed, (idle, stall) in enumerate(TRAFFIC):
            rng = random.Random(seed)
            packets = random_packets(rng, 40, bursts)
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
