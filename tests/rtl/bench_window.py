"""Testbench of cdg_window: every window of several images, in order, and the cycle of every beat."""

import random

import cocotb
from bench import TRAFFIC, Stream, pack, parameters, reset

from hw import cycles

P = {"H": 4, "W": 4, "PIXEL_W": 2, "KH": 3, "KW": 3, "SH": 1, "SW": 1, "PT": 0, "PB": 0, "PL": 0, "PR": 0, "PAD": 0}


def geometry():
    p = P | parameters()
    rows, columns = p["PT"] + p["H"] + p["PB"], p["PL"] + p["W"] + p["PR"]
    return p, rows, columns


def windows(image):
    """Words of all windows of an image given as rows of pixels."""
    p, rows, columns = geometry()
    around = [[p["PAD"]] * columns for _ in range(rows)]
    for y, row in enumerate(image):
        around[y + p["PT"]][p["PL"] : p["PL"] + p["W"]] = row
    for top in range(0, rows - p["KH"] + 1, p["SH"]):
        for left in range(0, columns - p["KW"] + 1, p["SW"]):
            pixels = [around[top + y][left + x] for y in range(p["KH"]) for x in range(p["KW"])]
            yield pack(pixels, p["PIXEL_W"])


def moves():
    """Whether each pixel of the padded image is read, and whether it completes a window."""
    p, rows, columns = geometry()
    for y in range(rows):
        for x in range(columns):
            read = 0 <= y - p["PT"] < p["H"] and 0 <= x - p["PL"] < p["W"]
            down, right = y - p["KH"] + 1, x - p["KW"] + 1
            yield read, down >= 0 and right >= 0 and down % p["SH"] == 0 and right % p["SW"] == 0


def images(count, seed):
    rng, (p, _, _) = random.Random(seed), geometry()
    return [[[rng.getrandbits(p["PIXEL_W"]) for _ in range(p["W"])] for _ in range(p["H"])] for _ in range(count)]


def pixels(some):
    return [pixel for image in some for row in image for pixel in row]


@cocotb.test()
async def offers_every_window_under_any_traffic(dut):
    for seed, (idle, stall) in enumerate(TRAFFIC):
        await reset(dut)
        some = images(4, seed)
        expected = [word for image in some for word in windows(image)]
        found = await Stream(dut, seed).run(pixels(some), idle=idle, stall=stall, expect=len(expected))
        assert found == expected


@cocotb.test()
async def keeps_its_cycles(dut):
    await reset(dut)
    frames, plan = 3, list(moves())
    given = sum(completes for _, completes in plan)
    model = cycles.Network(sum(read for read, _ in plan), given)
    model.modules.append(cycles.window(model.source, model.sink, plan))
    model.run(frames)
    stream = Stream(dut)
    await stream.run(pixels(images(frames, 9)), expect=frames * given)
    count = len(stream.accepted)
    assert stream.accepted == [model.source.take(beat) for beat in range(count)]
    assert stream.offered == model.sink.offer
