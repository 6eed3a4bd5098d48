"""Testbench of a whole generated accelerator behind its Verilog wrapper, driven by cocotbext-axi."""

import itertools
import json
import os
import random
from itertools import pairwise

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

EXPECTED = json.loads(os.environ.get("BENCH_EXPECTED", "{}"))
REGISTERS = EXPECTED.get("registers", {})
FRAMES = [bytes.fromhex(text) for text in EXPECTED.get("inputs", [])]
RESULTS = [bytes.fromhex(text) for text in EXPECTED.get("outputs", [])]
COUNTERS = ("latency_last", "latency_min", "latency_max", "interval", "frames_in", "frames_out", "stalls")
PERIOD = 2


class Bench:
    """Source, sink, master and a watch on the ports: cycles in which words are taken, or wait, on either side."""

    def __init__(self, dut):
        self.dut, self.cycle = dut, 0
        self.partial = False  # a packet has begun to leave and has not ended
        self.withdrawn = False  # a stream reset may take back a word that was offered
        self.forget()
        cocotb.start_soon(Clock(dut.aclk, PERIOD, "ns").start())
        shared = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **shared)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **shared)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), **shared)
        cocotb.start_soon(self._watch())

    async def reset(self):
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 3)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)
        self.forget()

    def reset_ends(self):
        """What drives the streams is reset, by itself."""
        self.source.assert_reset()
        self.sink.assert_reset()
        self.partial = False

    def forget(self):
        self.began, self.ended, self.stalls = [], [], 0

    async def _watch(self):
        dut, inside, waiting = self.dut, False, None
        while True:
            await RisingEdge(dut.aclk)
            self.cycle += 1
            if not dut.aresetn.value:
                inside, self.partial, waiting = False, False, None
                continue
            if dut.s_axis_tvalid.value and dut.s_axis_tready.value:
                self.began += [] if inside else [self.cycle]
                inside = not dut.s_axis_tlast.value
            assert waiting is None or self.withdrawn or waiting == self._offered(), "an offered word changed"
            waiting = None
            if dut.m_axis_tvalid.value:
                assert int(dut.m_axis_tkeep.value) == (1 << len(dut.m_axis_tkeep)) - 1
                if dut.m_axis_tready.value:
                    self.partial = not dut.m_axis_tlast.value
                    self.ended += [] if self.partial else [self.cycle]
                else:
                    self.stalls += 1
                    waiting = self._offered()

    def _offered(self):
        dut = self.dut
        return int(dut.m_axis_tvalid.value), int(dut.m_axis_tlast.value), int(dut.m_axis_tdata.value)

    def traffic(self, idle, stall, seed=1):
        for end, chance in ((self.source, idle), (self.sink, stall)):
            rng = random.Random(seed)
            if chance:
                end.set_pause_generator(rng.random() < chance for _ in itertools.count())
            else:
                end.clear_pause_generator()
                end.pause = False

    async def receive(self, count=1):
        """That many packets as bytes."""
        return [bytes((await with_timeout(self.sink.recv(), 20_000 * PERIOD, "ns")).tdata) for _ in range(count)]

    async def exchange(self, indices):
        """Send frames by index, each its own packet; hold what comes against the graph."""
        for index in indices:
            await self.source.send(FRAMES[index])
        assert await self.receive(len(indices)) == [RESULTS[index] for index in indices]

    async def read(self, name):
        return await self.master.read_dword(REGISTERS[name]["offset"])

    async def write(self, name, *bits, value=0):
        fields = REGISTERS[name]["bits"]
        value |= sum(1 << fields[bit] for bit in bits)
        await self.master.write_dword(REGISTERS[name]["offset"], value)

    async def bits(self, name):
        value = await self.read(name)
        return {field for field, bit in REGISTERS[name]["bits"].items() if value >> bit & 1}

    async def counters(self):
        await self.write("control", "snapshot")
        return {name: await self.read(name) for name in COUNTERS}

    async def quiet(self, cycles=200):
        """Nothing may come any more, and what came was whole."""
        await ClockCycles(self.dut.aclk, cycles)
        assert self.sink.empty()
        assert not self.partial


async def start(dut):
    bench = Bench(dut)
    await bench.reset()
    return bench


@cocotb.test()
async def registers_are_those_of_the_map(dut):
    bench = await start(dut)
    offsets = {register["offset"]: (name, register) for name, register in REGISTERS.items()}
    for offset in range(0, 256, 4):
        answer = await bench.master.read(offset, 4)
        written = await bench.master.write(offset, bytes(4))
        if offset not in offsets:
            assert (answer.resp, written.resp, answer.data) == (AxiResp.SLVERR, AxiResp.SLVERR, bytes(4))
            continue
        _, register = offsets[offset]
        assert answer.resp == AxiResp.OKAY
        assert written.resp == (AxiResp.SLVERR if register["access"] == "ro" else AxiResp.OKAY)
        if "value" in register:
            assert int.from_bytes(answer.data, "little") == register["value"]
    assert (await bench.master.read(0, 4)).data == b"CDG1"
    identity = "".join([f"{await bench.read(f'build_id_{index}'):08x}" for index in range(4)])
    assert identity == EXPECTED["build_id"]


@cocotb.test()
async def equals_the_graph_under_any_traffic(dut):
    bench = await start(dut)
    for seed, (idle, stall) in enumerate([(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5), (0.1, 0.9), (0.9, 0.1)]):
        bench.traffic(idle, stall, seed)
        bench.forget()
        await bench.write("control", "soft_reset")
        await bench.exchange(range(len(FRAMES)))
        latencies = [end - begin for begin, end in zip(bench.began, bench.ended, strict=True)]
        assert await bench.counters() == {
            "latency_last": latencies[-1],
            "latency_min": min(latencies),
            "latency_max": max(latencies),
            "interval": bench.ended[-1] - bench.ended[-2],
            "frames_in": len(FRAMES),
            "frames_out": len(FRAMES),
            "stalls": bench.stalls,
        }
        assert not await bench.bits("errors")
        assert not await bench.bits("status")


@cocotb.test()
async def latency_and_interval_are_those_stated(dut):
    bench = await start(dut)
    for index in range(3):
        await bench.exchange([index])
        assert (await bench.counters())["latency_last"] == EXPECTED["latency"]
    bench.forget()
    await bench.exchange(range(len(FRAMES)))
    assert {after - before for before, after in pairwise(bench.ended[len(FRAMES) // 2 :])} == {EXPECTED["interval"]}
    counters = await bench.counters()
    assert (counters["latency_min"], counters["interval"]) == (EXPECTED["latency"], EXPECTED["interval"])


@cocotb.test()
async def cycles_run_on_through_a_soft_reset(dut):
    bench = await start(dut)
    seen = []
    for action in ("snapshot", "snapshot", "soft_reset", "stream_reset"):
        await bench.write("control", "snapshot", action)
        await bench.write("control", "snapshot")
        seen.append(await bench.read("cycles_low"))
    assert seen == sorted(set(seen))
    assert seen[-1] < bench.cycle
    assert await bench.read("cycles_high") == 0


def bad_frames(index, word):
    """Frames of wrong lengths, and the flag each of them sets."""
    frame = FRAMES[index]
    yield frame + bytes(word), "long_frame"
    yield frame + frame, "long_frame"
    if len(frame) > word:
        yield frame[:word], "short_frame"
        yield frame[:-word], "short_frame"


@cocotb.test()
async def a_frame_of_the_wrong_length_is_dropped_and_flagged(dut):
    bench = await start(dut)
    word = len(dut.s_axis_tdata) // 8
    for idle, stall in ((0, 0), (0.4, 0.4)):
        bench.traffic(idle, stall)
        for index, (bad, flag) in enumerate(bad_frames(3, word)):
            for data in (FRAMES[index], bad, FRAMES[index + 1]):
                await bench.source.send(data)
            assert await bench.receive(2) == RESULTS[index : index + 2]
            assert await bench.bits("errors") == {flag}
            await bench.write("errors", *(REGISTERS["errors"]["bits"].keys() - {flag}))
            assert await bench.bits("errors") == {flag}
            await bench.write("errors", flag)
            assert await bench.bits("errors") == set()
    await bench.quiet()
    counters = await bench.counters()
    assert counters["frames_in"] == counters["frames_out"] == 4 * len(list(bad_frames(3, word)))


@cocotb.test()
async def what_tkeep_says_changes_nothing(dut):
    bench = await start(dut)
    for index in range(4):
        keep = [1] * (len(FRAMES[index]) - 1) + [0]
        await bench.source.send(AxiStreamFrame(FRAMES[index], tkeep=keep))
    assert await bench.receive(4) == RESULTS[:4]


@cocotb.test()
async def packets_of_several_frames_come_back_as_packets(dut):
    bench = await start(dut)
    await bench.write("bursts", value=1)
    assert await bench.read("bursts") == 1
    for idle, stall in ((0, 0), (0.3, 0.7)):
        bench.traffic(idle, stall)
        for begin, end in ((0, 4), (4, 5), (5, 8)):
            await bench.source.send(b"".join(FRAMES[begin:end]))
        assert await bench.receive(3) == [b"".join(RESULTS[begin:end]) for begin, end in ((0, 4), (4, 5), (5, 8))]
    assert not await bench.bits("errors")
    assert (await bench.counters())["frames_out"] == 16
    await bench.write("control", "soft_reset")
    assert await bench.read("bursts") == 0


@cocotb.test()
async def a_soft_reset_lets_only_whole_frames_out(dut):
    """At every point of a burst, with a receiver that stalls."""
    bench = await start(dut)
    for delay in range(1, 40 + EXPECTED["latency"], 3):
        bench.traffic(0.3, 0.6, delay)
        for index in range(6):
            await bench.source.send(FRAMES[index])
        await ClockCycles(dut.aclk, delay)
        await bench.write("control", "soft_reset")
        sent = await until_idle(bench)
        await bench.exchange([7, 8])
        counters = await bench.counters()
        # frames that began after the reset count, and are right
        assert counters["frames_in"] == counters["frames_out"] == 2 + sent
        assert not await bench.bits("errors")
        await bench.write("control", "soft_reset")


async def until_idle(bench):
    """Wait until nothing moves; every frame received was whole and right. Gives how many of them were counted."""
    await with_timeout(bench.source.wait(), 20_000 * PERIOD, "ns")
    while await bench.bits("status"):
        pass
    assert not bench.partial
    received = await bench.receive(bench.sink.count())
    assert all(frame in RESULTS[:6] for frame in received)
    assert received == sorted(received, key=RESULTS.index)
    return (await bench.counters())["frames_out"]


@cocotb.test()
async def the_rest_of_a_frame_cut_by_a_soft_reset_is_dropped(dut):
    bench = await start(dut)
    word = len(dut.s_axis_tdata) // 8
    if len(FRAMES[0]) == word:
        return
    for how, flags in (("soft_reset", set()), ("stream_reset", {"short_frame"})):
        await bench.source.send(FRAMES[0])
        await with_timeout(RisingEdge(dut.s_axis_tvalid), 100, "ns")
        bench.source.pause = True
        await ClockCycles(dut.aclk, 4)
        assert await bench.bits("status") == {"receiving"}
        await bench.write("control", how)
        bench.source.pause = False
        await bench.source.wait()
        assert await bench.bits("errors") == flags
        await bench.exchange([1, 2])


@cocotb.test()
async def an_offered_frame_stays_through_a_soft_reset_and_goes_with_a_stream_reset(dut):
    bench = await start(dut)
    single = len(RESULTS[0]) * 8 == len(dut.m_axis_tdata)
    for how, taken in itertools.product(("soft_reset", "stream_reset"), (0, 1)):
        bench.sink.pause = True
        for index in range(4):
            await bench.source.send(FRAMES[index])
        await ClockCycles(dut.aclk, 4 * EXPECTED["latency"] + 40)
        bench.sink.set_pause_generator(itertools.chain([False] * taken, itertools.repeat(True)))
        await ClockCycles(dut.aclk, 4)
        assert "busy" in await bench.bits("status")
        if ends_too := how == "stream_reset":
            bench.reset_ends()
        bench.withdrawn = ends_too
        await bench.write("control", how)
        assert await bench.bits("status") == (set() if ends_too else {"busy", "stale"})
        bench.traffic(0, 0)
        await ClockCycles(dut.aclk, 20)
        came = [bytes(bench.sink.recv_nowait().tdata) for _ in range(bench.sink.count())]
        assert came == RESULTS[: taken * single + (not ends_too)]
        bench.withdrawn = False
        await bench.quiet()
        assert (await bench.counters())["frames_out"] == 0
        await bench.exchange([5, 6])


@cocotb.test()
async def a_hard_reset_in_mid_frame_leaves_nothing_behind(dut):
    bench = await start(dut)
    for delay in range(1, EXPECTED["latency"] + 12, 4):
        bench.traffic(0, 0.5, delay)
        for index in range(3):
            await bench.source.send(FRAMES[index])
        await ClockCycles(dut.aclk, delay)
        bench.source.clear()
        bench.sink.clear()
        await bench.reset()
        assert not await bench.bits("status")
        bench.sink.clear()
        await bench.exchange([4, 5])
        assert (await bench.counters())["frames_in"] == 2
