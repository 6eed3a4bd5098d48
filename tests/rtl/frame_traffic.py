"""What the testbenches of stream inputs share: packets of right and wrong lengths, what becomes of them, a driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench import settle, tick

EVENTS = ("first", "good", "bad_short", "bad_long")


@dataclass
class Seen:
    """What left, as its observer noted it, cycles in which words were taken, and counts of events."""

    frames: list = field(default_factory=list)
    left: list = field(default_factory=list)
    taken: list = field(default_factory=list)
    events: dict = field(default_factory=lambda: dict.fromkeys(EVENTS, 0))


def expected(packets, length, bursts):
    """Frames of ``length`` words in ``packets`` as (words, last), and counts of events, by cdg_frame_words' rules."""
    frames, events = [], dict.fromkeys(EVENTS, 0)
    for packet in packets:
        for start in range(0, len(packet), length):
            words, ends = packet[start : start + length], start + length >= len(packet)
            events["first"] += 1
            if len(words) < length:
                events["bad_short"] += 1
            elif not ends and not bursts:
                events["bad_long"] += 1
                break
            else:
                events["good"] += 1
                frames.append((words, int(ends)))
    return frames, events


def random_packets(rng, count, length, word_w, bursts):
    """Packets of nearly, exactly and several times ``length`` words."""
    lengths = [length * frames + extra for frames in range(4) for extra in (-1, 0, 1)]
    lengths = [words for words in lengths if words > 0] + [length * (1 + bursts)] * len(lengths)
    return [[rng.getrandbits(word_w) for _ in range(rng.choice(lengths))] for _ in range(count)]


async def reset(dut, bursts=0):
    """One cycle of reset with nothing offered and nothing taken."""
    dut.clk.value = 0
    for port in ("rst_n", "flush", "s_axis_tvalid", "s_axis_tdata", "s_axis_tlast", "m_ready", "frame_ready"):
        if hasattr(dut, port):
            getattr(dut, port).value = 0
    dut.bursts.value = bursts
    await tick(dut)
    dut.rst_n.value = 1
    await settle()


async def play(
    dut, packets, rng, observe: Callable[[Seen, int], None], *, idle=0.0, stall=0.0, flush_at=None, reset_at=None
):
    """Send ``packets`` word by word until all is sent and quiet; ``observe`` notes what leaves in a cycle."""
    seen, quiet, cycle, valid = Seen(), 0, 0, False
    word_w = len(dut.s_axis_tdata)
    pending = [(word, index == len(packet) - 1) for packet in packets for index, word in enumerate(packet)]
    while quiet < 8:
        valid = valid or (bool(pending) and rng.random() >= idle)
        dut.s_axis_tvalid.value = valid
        dut.s_axis_tdata.value, dut.s_axis_tlast.value = pending[0] if valid else (rng.getrandbits(word_w), 0)
        dut.m_ready.value = rng.random() >= stall
        if hasattr(dut, "frame_ready"):
            dut.frame_ready.value = rng.random() >= stall
        dut.flush.value = cycle == flush_at
        dut.rst_n.value = cycle != reset_at
        await settle()
        if cycle not in {flush_at, reset_at}:
            observe(seen, cycle)
            for event in EVENTS:
                seen.events[event] += int(getattr(dut, event).value)
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
