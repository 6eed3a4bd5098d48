import itertools
import random

import cocotb
from bench import pack, parameters, reset, settle, tick, unpack


class Unit:
    """Feeds vectors and the weights ROM, retires at random, and collects the groups of sums."""

    def __init__(self, dut, seed):
        self.p, self.dut, self.random = parameters(), dut, random.Random(seed)
        p = self.p
        self.n_in, self.n_out, self.simd, self.pe = p["N_IN"], p["N_OUT"], p["SIMD"], p["PE"]
        self.slices, self.groups = -(-self.n_in // self.simd), -(-self.n_out // self.pe)
        self.weights = [[self.random.randint(-1, 1) for _ in range(self.n_out)] for _ in range(self.n_in)]
        self.rom = [self._word(step) for step in range(self.slices * self.groups)]

    def _word(self, step):
        group, part = divmod(step, self.slices)
        lanes = itertools.product(range(self.pe), range(self.simd))
        return pack([self._trit(part * self.simd + s, group * self.pe + p) for p, s in lanes], 2)

    def _trit(self, row, column):
        return self.weights[row][column] if row < self.n_in and column < self.n_out else 0

    def element(self):
        if self.p["TERNARY"]:
            return self.random.randint(-1, 1)
        span = 1 << self.p["IN_W"]
        return self.random.randrange(span) - (span // 2 if self.p["IN_SIGNED"] else 0)

    def sums(self, x):
        """Golden sums, less what the caller adds."""
        return [
            sum(w[c] * v - self._missing(w[c]) for w, v in zip(self.weights, x, strict=True)) for c in range(self.n_out)
        ]

    def _missing(self, trit):
        """What cdg_product leaves out, as it counts each product from its lowest value."""
        if self.p["TERNARY"]:
            return 0
        half = 1 << (self.p["IN_W"] - 1)
        return {0: 0, 1: -half, -1: 1 - half}[trit] if self.p["IN_SIGNED"] else {0: 0, 1: 0, -1: 1 - 2 * half}[trit]

    async def run(self, vectors, *, idle, hold):
        """Sums of each vector. ``hold``: chance, per cycle, that a finished vector does not yet retire."""
        dut, p = self.dut, self.p
        pending, outputs, row = list(vectors), [], []
        self.accepted, self.finished = [], []
        offered, finished, cycle, rom_word, channel = False, 0, 0, 0, 0
        while len(outputs) < len(vectors) or finished:
            offered = bool(pending) and (offered or self.random.random() >= idle)
            dut.s_valid.value = offered
            dut.s_data.value = pack(pending[0] if offered else [0] * self.n_in, p["IN_W"])
            await settle()
            dut.rom_data.value = rom_word
            rom_word = self.read_rom()
            if dut.acc_valid.value:
                assert channel == len(row) // self.pe
                row += unpack(int(dut.acc.value), self.pe, p["ACC_W"])
                assert bool(dut.acc_last.value) == (len(row) == self.groups * self.pe)
                if dut.acc_last.value:
                    outputs.append(row[: self.n_out])
                    self.finished.append(cycle)
                    finished += 1
                    row = []
            channel = int(dut.channel_addr.value)
            retire = finished > 0 and self.random.random() >= hold
            dut.retire.value = retire
            finished -= retire
            await settle()
            if offered and dut.s_ready.value:
                self.accepted.append(cycle)
                pending.pop(0)
                offered = False
            assert len(self.accepted) - len(outputs) + finished <= 2
            await tick(dut)
            cycle += 1
            assert cycle < 100_000
        return outputs

    def read_rom(self):
        """The word at the address that every reader must have."""
        width = max(1, (len(self.rom) - 1).bit_length())
        (address,) = set(unpack(int(self.dut.rom_addr.value), self.p["ADDRESSES"], width, is_signed=False))
        return self.rom[address]


def latency(p):
    """The formula in the module's header."""
    slices = -(-p["N_IN"] // p["SIMD"])
    leaves = -(-p["SIMD"] // (3 if p["TERNARY"] else 6))
    levels = (leaves - 1).bit_length()
    tree = (levels - 1) // p["TREE_REG"] if levels else 0
    return slices * -(-p["N_OUT"] // p["PE"]) + 3 + (not p["TERNARY"]) + tree


async def prepared(dut, seed):
    dut.retire.value, dut.rom_data.value = 0, 0
    await reset(dut)
    return Unit(dut, seed)


@cocotb.test()
async def multiplies_under_any_traffic(dut):
    for seed, (idle, hold) in enumerate([(0, 0), (0.8, 0), (0, 0.95), (0.8, 0.9)]):
        unit = await prepared(dut, seed)
        vectors = [[unit.element() for _ in range(unit.n_in)] for _ in range(25)]
        assert await unit.run(vectors, idle=idle, hold=hold) == [unit.sums(x) for x in vectors]


@cocotb.test()
async def keeps_its_latency_and_interval(dut):
    unit = await prepared(dut, 9)
    await unit.run([[unit.element() for _ in range(unit.n_in)] for _ in range(10)], idle=0, hold=0)
    taken, done = unit.accepted, unit.finished
    assert {b - a for a, b in itertools.pairwise(taken)} == {unit.p["INTERVAL"]}
    assert {b - a for a, b in zip(taken, done, strict=True)} == {latency(unit.p)}
