"""Testbench of cdg_axi_lite: registers behind it, driven by cocotbext-axi's master under any back-pressure."""

import itertools
import random

import cocotb
from bench import settle, tick
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

BYTES = 32


async def start(dut):
    """A master on the running clock, after reset."""
    cocotb.start_soon(Clock(dut.clk, 2, "ns").start())
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst_n, reset_active_level=False)
    dut.rst_n.value = 0
    for _ in range(2):
        await RisingEdge(dut.clk)
    dut.rst_n.value = 1
    await RisingEdge(dut.clk)
    return master


def pauses(seed, chance):
    rng = random.Random(seed)
    return (rng.random() < chance for _ in itertools.count())


def channels(master):
    write, read = master.write_if, master.read_if
    return [write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel]


@cocotb.test()
async def registers_hold_what_is_written_under_any_traffic(dut):
    rng = random.Random(1)
    master = await start(dut)
    memory = bytearray(8) + (0x600DCAFE).to_bytes(4, "little") + bytes(BYTES - 12)
    for delays in [(0, 0, 0, 0, 0), (0.8, 0, 0, 0, 0), (0, 0.8, 0, 0, 0), (0.3, 0.3, 0.9, 0.3, 0.9)]:
        for seed, (channel, chance) in enumerate(zip(channels(master), delays, strict=True)):
            channel.set_pause_generator(pauses(seed, chance))
        for _ in range(60):
            address = rng.randrange(BYTES)
            length = rng.randint(1, 4 - address % 4)
            known = 3 if (writing := rng.random() < 0.5) is False else 2
            expected = AxiResp.OKAY if address // 4 < known else AxiResp.SLVERR
            if writing:
                data = rng.randbytes(length)
                assert (await master.write(address, data)).resp == expected
                if expected == AxiResp.OKAY:
                    memory[address : address + length] = data
            else:
                answer = await master.read(address, length)
                assert (answer.resp, answer.data) == (expected, memory[address : address + length])


@cocotb.test()
async def transfers_follow_each_other_and_writes_happen_once(dut):
    master = await start(dut)
    before = int(dut.writes.value)
    writes = [cocotb.start_soon(master.write(4 * (i % 2), i.to_bytes(4, "little"))) for i in range(20)]
    for write in writes:
        await write
    assert int(dut.writes.value) - before == 20
    reads = [cocotb.start_soon(master.read(4 * (i % 2), 4)) for i in range(10)]
    for i, read in enumerate(reads):
        assert int.from_bytes((await read).data, "little") == 18 + i % 2


async def by_hand(dut):
    """Reset, with every input at rest and the clock in the testbench's hands."""
    dut.clk.value = 0
    dut.rst_n.value = 0
    for channel, payload in (("aw", "addr"), ("w", "data"), ("ar", "addr")):
        getattr(dut, f"s_axi_{channel}valid").value = 0
        getattr(dut, f"s_axi_{channel}{payload}").value = 0
    dut.s_axi_wstrb.value = 15
    dut.s_axi_bready.value, dut.s_axi_rready.value = 0, 0
    await settle()  # the clock of the test before may have been high
    await tick(dut)
    dut.rst_n.value = 1
    await settle()


@cocotb.test()
async def address_and_data_come_in_either_order_and_valid_never_waits_for_ready(dut):
    for first, second in (("aw", "w"), ("w", "aw")):
        await by_hand(dut)
        dut.s_axi_wdata.value = 77
        for channel in (first, second):
            assert not dut.s_axi_bvalid.value
            getattr(dut, f"s_axi_{channel}valid").value = 1
            await settle()
            assert getattr(dut, f"s_axi_{channel}ready").value
            await tick(dut)
            getattr(dut, f"s_axi_{channel}valid").value = 0
            for _ in range(3):
                await tick(dut)
        # not taken yet: it must stay
        for _ in range(3):
            assert dut.s_axi_bvalid.value
            await tick(dut)
        assert int(dut.writes.value) == 1
        dut.s_axi_bready.value = 1
        await tick(dut)
        assert not dut.s_axi_bvalid.value


@cocotb.test()
async def an_answer_that_is_not_taken_holds_and_nothing_behind_it_is_lost(dut):
    await by_hand(dut)
    dut.s_axi_arvalid.value = 1
    for address in (8, 0, 0):
        dut.s_axi_araddr.value = address
        for _ in range(3):
            await tick(dut)
    assert not dut.s_axi_arready.value  # one answered, one waiting
    dut.s_axi_arvalid.value = 0
    assert (int(dut.s_axi_rvalid.value), int(dut.s_axi_rdata.value)) == (1, 0x600DCAFE)
    dut.s_axi_rready.value = 1
    await tick(dut)
    assert (int(dut.s_axi_rvalid.value), int(dut.s_axi_rdata.value)) == (1, 0)
    await tick(dut)
    assert not dut.s_axi_rvalid.value


@cocotb.test()
async def writes_wait_for_the_answer_before_them_and_none_is_mixed_up(dut):
    await by_hand(dut)
    dut.s_axi_awvalid.value, dut.s_axi_wvalid.value = 1, 1
    transfers = [(0, 0xAA, AxiResp.OKAY), (20, 0xBB, AxiResp.SLVERR), (4, 0xCC, AxiResp.OKAY)]
    for address, data, _ in transfers:
        dut.s_axi_awaddr.value, dut.s_axi_wdata.value = address, data
        await settle()
        for _ in range(5):
            taken = dut.s_axi_awready.value
            await tick(dut)
            if taken:
                break
    # one answered, one waiting, one not even taken
    assert (int(dut.writes.value), int(dut.s_axi_awready.value), int(dut.s_axi_wready.value)) == (1, 0, 0)
    dut.s_axi_bready.value = 1
    for done, (_, _, resp) in enumerate(transfers, 1):
        await settle()
        while not dut.s_axi_bvalid.value:
            await tick(dut)
        assert (int(dut.writes.value), int(dut.s_axi_bresp.value)) == (done, resp)
        await tick(dut)
        if done == 2:
            dut.s_axi_awvalid.value, dut.s_axi_wvalid.value = 0, 0
    assert await read_by_hand(dut, 0) == 0xAA
    assert await read_by_hand(dut, 4) == 0xCC


async def read_by_hand(dut, address):
    dut.s_axi_rready.value = 0
    dut.s_axi_araddr.value, dut.s_axi_arvalid.value = address, 1
    await tick(dut)
    dut.s_axi_arvalid.value = 0
    while not dut.s_axi_rvalid.value:
        await tick(dut)
    dut.s_axi_rready.value = 1
    await settle()
    data = int(dut.s_axi_rdata.value)
    await tick(dut)
    return data
