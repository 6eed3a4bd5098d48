import random

import cocotb
from bench import TRAFFIC, pack, parameters, reset, settle, tick, unpack


class Groups:
    """Feeds PE results per group, as an accumulator would, and takes whole vectors.

    Keeps the sender's side of the contract: no third vector begins before retire has told that one left.
    """

    def __init__(self, dut, rng):
        p = parameters()
        self.dut, self.rng = dut, rng
        self.pe, self.bits, self.count = p["PE"], p["OUT_W"], p["N_OUT"]
        self.groups = -(-self.count // self.pe)
        self.latencies = set()

    async def run(self, vectors, idle, stall):
        dut, outputs, waiting = self.dut, [], None
        pending = [(vector, group) for vector in vectors for group in range(self.groups)]
        inside, cycle, complete = 0, 0, []
        while len(outputs) < len(vectors):
            may_begin = bool(pending) and (pending[0][1] > 0 or inside < 2)
            send = may_begin and self.rng.random() >= idle
            vector, group = pending.pop(0) if send else (self.noise(), 0)
            inside += send and group == 0
            last = send and group == self.groups - 1
            if last:
                complete.append(cycle)
            dut.s_valid.value, dut.s_last.value = send, last
            dut.s_data.value = pack((vector + self.noise())[group * self.pe : (group + 1) * self.pe], self.bits)
            dut.m_ready.value = self.rng.random() >= stall
            await settle()
            assert bool(dut.retire.value) == (bool(dut.m_valid.value) and bool(dut.m_ready.value))
            if dut.m_valid.value:
                if waiting is None:
                    self.latencies.add(cycle - complete.pop(0))
                assert waiting in (None, int(dut.m_data.value)), "m_data changed while stalled"
                waiting = int(dut.m_data.value)
                if dut.m_ready.value:
                    outputs.append(unpack(waiting, self.count, self.bits))
                    waiting = None
                    inside -= 1
            else:
                assert waiting is None, "m_valid fell before the vector was taken"
            await tick(dut)
            cycle += 1
        return outputs

    def noise(self):
        return [self.rng.randint(-2, 1) for _ in range(self.count)]


@cocotb.test()
async def gathers_vectors_under_any_traffic(dut):
    rng = random.Random(1)
    dut.s_last.value = 0
    await reset(dut)
    for idle, stall in TRAFFIC:
        vectors = [[rng.randint(-2, 1) for _ in range(parameters()["N_OUT"])] for _ in range(60)]
        assert await Groups(dut, rng).run(vectors, idle, stall) == vectors


@cocotb.test()
async def offers_two_cycles_after_the_last_group(dut):
    rng = random.Random(2)
    dut.s_last.value = 0
    await reset(dut)
    groups = Groups(dut, rng)
    await groups.run([groups.noise() for _ in range(20)], 0.0, 0.0)
    assert groups.latencies == {2}
