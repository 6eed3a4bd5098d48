import random

import cocotb
from bench import TRAFFIC, pack, parameters, reset, settle, tick, unpack


class Groups:
    """Feeds PE results per group, as an accumulator would, and takes whole vectors."""

    def __init__(self, dut, vectors, rng):
        p = parameters()
        self.dut, self.vectors, self.rng = dut, vectors, rng
        self.pe, self.bits, self.count = p["PE"], p["OUT_W"], p["N_OUT"]
        self.groups = -(-self.count // self.pe)
        self.stalled_by_middle_group = False

    async def run(self, idle, stall):
        dut, outputs, waiting = self.dut, [], None
        pending = [(vector, group) for vector in self.vectors for group in range(self.groups)]
        offered = False
        while len(outputs) < len(self.vectors):
            offered = bool(pending) and (offered or self.rng.random() >= idle)
            vector, group = pending[0] if offered else (self.noise(), 0)
            dut.s_valid.value, dut.s_last.value = offered, offered and group == self.groups - 1
            dut.s_data.value = pack((vector + self.noise())[group * self.pe : (group + 1) * self.pe], self.bits)
            dut.m_ready.value = self.rng.random() >= stall
            await settle()
            if dut.m_valid.value:
                assert waiting in (None, int(dut.m_data.value))
                waiting = int(dut.m_data.value)
                if dut.m_ready.value:
                    outputs.append(unpack(waiting, self.count, self.bits))
                    waiting = None
            else:
                assert waiting is None
            if offered and dut.advance.value:
                pending.pop(0)
                offered = False
            elif offered:
                self.stalled_by_middle_group |= group < self.groups - 1
            await tick(dut)
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
        groups = Groups(dut, vectors, rng)
        assert await groups.run(idle, stall) == vectors
        assert not groups.stalled_by_middle_group


@cocotb.test()
async def advance_ignores_ready_unless_back_to_back(dut):
    p = parameters()
    dut.s_last.value = 0
    await reset(dut)
    dut.s_valid.value, dut.s_last.value = 1, 1
    await tick(dut)  # one vector waits at the output, the next one is complete
    for ready in (0, 1):
        dut.m_ready.value = ready
        await settle()
        assert dut.advance.value == (ready and p["BACK_TO_BACK"])
