"""LUTs and block RAMs of what stands between folded layers before synthesis: windows, queues, and what is all wires.

Memories are counted as the RTL lays them down, in LUT RAM or block RAM; counters and handshake as Yosys maps them. How
many beats wait at a join follows from when they come: the static schedule of every path's windows and registers at the
pace asked for, or at the fastest that the network can keep, at which most are on their way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hw.emit.modules import Place, queue_earns_block_ram
from hw.parallel_cost import graph_luts
from hw.parts import INPUT, Part, beats_of
from hw.stage import Divide, Linear, Quantize, Stage

Cycles = NDArray[np.float64]
"""When each beat of a stream comes."""

_SHARED, _SHARED_DEPTH, _DEPTH = 6, 32, 64
"""Bits of four LUTs (RAM32M) with up to 32 words, of which RAM64M and wide multiplexers behind LUTs make 64."""
# LUTs, rounded, that Yosys maps; held as sums against whole folded blocks in tests/hw/test_streaming_cost.py
_ROW = 10.0  # counters of a window of one row
_ROWS = 20.0  # and of several
_PADDED = 4.0  # what padding adds to them, beside a LUT a bit of a pixel
_STREAM = 10.0  # handshake of a part without a window
_LARGER = 1.5  # per bit: the larger of two values
_CREDITS = 8.0  # of a pipeline, beside its queue
_LAYER, _WIRES, _LAYER_DEPTH, _DIRECT = 4, 1, 8, 2
"""Estimated cycles of a layer with weights and of one without, and words that the queues of their results hold."""


def memory_luts(width: int, depth: int) -> float:
    """LUT RAM of ``depth`` words, and what chooses between its banks.

    :func:`hw.emit.modules.queue_earns_block_ram` decides without the latter, and with it would lay down block RAM for
    some more memories of over 192 words: a rule of the RTL, not an estimate, which decides the same up to there.
    """
    banks = math.ceil(depth / _DEPTH)
    return 4 * math.ceil(width / _SHARED) * math.ceil(depth / _SHARED_DEPTH) + width * math.ceil((banks - 1) / 3)


def queue_luts(width: int, depth: int) -> float:
    """cdg_fifo, which is wires where ``depth`` is 0: LUT RAM and two counters, which wrap by themselves at 2^n."""
    if depth == 0:
        return 0.0
    bits = max(1, (depth - 1).bit_length())
    return memory_luts(width, depth) + (2 * bits + 6 if depth == 1 << bits else 4 * bits + 3)


def around(part: Part) -> tuple[float, float]:
    """LUTs and block RAMs of everything but the stage."""
    window = part.window
    if part.argmax:
        return _STREAM + (math.prod(part.reads) - 1) * _LARGER * part.joined.bits, 0.0
    if part.reduced:  # an accumulator: a LUT a bit, to add or to compare
        return _STREAM + part.reads[-1] * part.reduced.bits, 0.0
    largest = 0
    if window is not None and part.largest:
        largest = (window.rows * window.columns - 1) * window.dims[2] * part.joined.bits
    if window is None or window.is_pixel or window.is_image:
        return _STREAM + largest, 0.0
    pixel = window.dims[2] * part.joined.bits
    lut, width = (_ROWS if window.rows > 1 else _ROW) + largest, (window.rows - 1) * pixel
    lut += (_PADDED + pixel) * any(window.padding)
    words = window.padding[2] + window.dims[1] + window.padding[3]
    if queue_earns_block_ram(width, words):
        return lut, math.ceil(width / 72) * math.ceil(words / 512)
    return lut + memory_luts(width, words), 0.0


def parallel_lut(part: Part) -> float:
    """LUTs of the adder graph, its activations, and the queue of its results."""
    stage = part.stage
    assert stage is not None
    if part.weighted:
        queue = queue_luts(stage.n_out * stage.output_bits, _LAYER_DEPTH)
        return graph_luts(stage, shares=not part.depthwise) + queue + _CREDITS
    weights = int(np.abs(stage.weights).sum())
    # a mean is compared with each of its steps
    steps = stage.output_high - stage.output_low if isinstance(stage.activation, Divide) else 0
    result = queue_luts(stage.n_out * stage.output_bits, _DIRECT) + _CREDITS
    clipping = 0 if _is_whole(stage) else stage.output_bits - 1
    return float(max(0, weights - stage.n_out)) * stage.input_bits + stage.n_out * (clipping + steps) + result


def _is_whole(stage: Stage) -> bool:
    """Whether its activation neither rounds nor clips."""
    kind = stage.activation
    whole = (
        isinstance(kind, Quantize) and not kind.shift and kind.low <= stage.value_low <= stage.value_high <= kind.high
    )
    return whole or isinstance(kind, Linear)


def moves(part: Part) -> int:
    """Beats of a frame that it reads, of the padded image where it slides a window."""
    return len(part.window.moves) if part.window else beats_of(part.reads)


def waiting_luts(parts: Sequence[Part], interval: int = 1) -> list[float]:
    """Of each part, LUTs of the queues in front of it: 0 where it joins nothing."""
    found = [0.0] * len(parts)
    for place, depth in waiting(parts, interval).items():
        found[place[0]] += queue_luts(waiting_bits(parts, place), depth)
    return found


def waiting_bits(parts: Sequence[Part], place: Place) -> int:
    """Of a beat in front of a join: as its own source gives it, not yet widened for the others."""
    index, which = place
    source, first = parts[index].sources[which], parts[0]  # which reads nothing but the network's input
    given = (first.reads, first.joined) if source == INPUT else (parts[source].dims, parts[source].values)
    return math.prod(given[0]) // beats_of(parts[index].reads) * given[1].bits


def waiting(parts: Sequence[Part], interval: int = 1) -> dict[Place, int]:
    """About how many beats wait in each place in front of a join, a frame coming every ``interval`` cycles or slower.

    :mod:`hw.emit.queues` finds the exact depths, for which the network is emitted and its cycles are tried many times:
    more than a solver can do for every folding.
    """
    if all(len(part.sources) == 1 for part in parts):
        return {}
    beats = beats_of(parts[0].reads)
    pace = max(interval, beats, *(max(moves(part), part.vectors) for part in parts)) / beats
    given: dict[int, Cycles] = {INPUT: np.arange(beats, dtype=np.float64) * pace}
    found: dict[Place, int] = {}
    for index, part in enumerate(parts):
        come = [_beats(given[place], beats_of(part.reads)) for place in part.sources]
        leave = np.maximum.reduce(come) + (len(come) > 1)
        if len(come) > 1:
            found |= {(index, which): _waiting(times, leave) for which, times in enumerate(come)}
        given[index] = _given(part, leave)
    return found


def _beats(times: Cycles, count: int) -> Cycles:
    """When ``count`` beats come that are parts of those that came, or several of them in one."""
    if len(times) % count and count % len(times):
        times = times[-1:] + 1  # gathered whole first
    if count <= len(times):
        return times.reshape(count, -1)[:, -1] + (count < len(times))
    parts = count // len(times)
    return _in_turn(np.repeat(times, parts) + 1)


def _in_turn(times: Cycles) -> Cycles:
    """One a cycle, none before its time."""
    order = np.arange(len(times))
    return np.maximum.accumulate(times - order) + order


def _given(part: Part, times: Cycles) -> Cycles:
    """When its results come, of beats that come so."""
    if part.window and not part.window.is_pixel:
        reads, ends = np.array(part.window.moves).T
        come = np.full(len(reads), times[0] - len(reads))  # padding before the first pixel is done by then
        come[reads] = times
        times = _in_turn(come)[ends] + 1
    if part.largest and not part.reduced:
        times = times + 1
    if part.stage is None:
        return times
    return times + (_LAYER if part.weighted else _WIRES)


def _waiting(come: Cycles, leave: Cycles) -> int:
    """The most beats that wait at a time; none where each leaves as soon as it has come."""
    if (leave - come <= 1).all():
        return 0
    return int((np.arange(len(come)) - np.searchsorted(leave, come)).max()) + 1
