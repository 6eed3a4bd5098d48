"""A folded dense layer: one Stage and a PE x SIMD folding become SystemVerilog around hw/rtl/cdg_mvu.sv."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.errors import ModelError
from hw.emit.rom import Rom, earns_block_ram, emit_rom, pack, vector
from hw.graph import FixedType
from hw.stage import Divide, Integers, Quantize, Stage, Ternary

TREE_REG = 2
"""Adder levels between registers: the parameter of cdg_mvu."""

READ_LANES = 64
"""Weights that one copy of the step counter reads."""

RTL = (
    *("cdg_rom_column", "cdg_rom_pair", "cdg_choose", "cdg_slice", "cdg_mvu", "cdg_ternary_mul", "cdg_trit_sum"),
    *("cdg_product", "cdg_sum6", "cdg_count6", "cdg_adder_tree"),
    *("cdg_ternary_act", "cdg_requant", "cdg_collect"),
)
"""Modules of hw/rtl that folded stages instantiate."""


@dataclass(frozen=True)
class Folding:
    """``pe`` outputs computed at a time from ``simd`` inputs at a time."""

    pe: int
    simd: int

    def steps(self, n_in: int, n_out: int) -> int:
        """Cycles per vector."""
        return -(-n_in // self.simd) * -(-n_out // self.pe)

    def latency(self, n_in: int, n_out: int, *, ternary_input: bool, thresholded: bool) -> int:
        """Cycles from the acceptance of a vector to its result; ``thresholded``: of a ternary or binary activation."""
        leaves = -(-self.simd // (3 if ternary_input else 6))
        levels = (leaves - 1).bit_length()
        tree = (levels - 1) // TREE_REG if levels else 0
        # steps, what is read, products, leaves, tree, accumulator, scaling, gathering, output register
        return self.steps(n_in, n_out) + 2 + int(not ternary_input) + tree + 1 + int(not thresholded) + 2

    def interval(self, n_in: int, n_out: int, latency: int) -> int:
        """Cycles between vectors: two at a time are between acceptance and the cycle after they have left."""
        return max(self.steps(n_in, n_out), -(-(latency + 1) // 2))

    def timing(self, stage: Stage) -> tuple[int, int]:
        """Latency and interval of ``stage``."""
        n_in, n_out = stage.n_in, stage.n_out
        latency = self.latency(n_in, n_out, ternary_input=stage.input_ternary, thresholded=stage.output_ternary)
        return latency, self.interval(n_in, n_out, latency)


@dataclass(frozen=True)
class FoldedDesign:
    """Generated files of one stage and what is known of it before any simulation.

    ``files``: name -> text. ``latency_cycles``: from the cycle that accepts a vector to the first with m_valid,
    nothing else in the stage. ``interval_cycles``: between accepted vectors under continuous input and m_ready.
    In a chain latencies add up, and the largest interval is the chain's. ``rtl``: modules of hw/rtl it needs.
    """

    files: dict[str, str]
    module: str
    latency_cycles: int
    interval_cycles: int
    rtl: tuple[str, ...]


def foldings(n_in: int, n_out: int, interval_target: int) -> list[Folding]:
    """Every folding that needs ``interval_target`` steps per vector or fewer, and no multiplier that it could spare.

    The interval is the steps, for foldings of a few steps up to half the latency (see ``emit_folded``).
    """
    if min(n_in, n_out, interval_target) < 1:
        raise ModelError(f"cannot fold {n_in} x {n_out} to {interval_target} cycles: all three must be at least 1")
    found = []
    for pe in sorted({-(-n_out // groups) for groups in range(1, min(n_out, interval_target) + 1)}):
        slices = min(n_in, interval_target // -(-n_out // pe))
        found.append(Folding(pe, -(-n_in // slices)))
    return found


def emit_folded(stage: Stage, folding: Folding, module: str) -> FoldedDesign:
    """Emit ``module`` and its ROMs for ``stage``; ModelError where the folding does not fit its shape."""
    if not (1 <= folding.pe <= stage.n_out and 1 <= folding.simd <= stage.n_in):
        raise ModelError(
            f"stage {stage.name!r}: folding {folding.pe} x {folding.simd} does not fit {stage.n_out} outputs and "
            f"{stage.n_in} inputs: use PE 1 to {stage.n_out} and SIMD 1 to {stage.n_in}"
        )
    if isinstance(stage.activation, Divide):
        raise ModelError(f"stage {stage.name!r} quantizes a mean, which has no folded form: leave it parallel")
    plan = _Plan(stage, folding, module)
    roms = (plan.weights, plan.channels)
    files = {f"{module}.sv": plan.text(), **{f"{rom.module}.sv": emit_rom(rom) for rom in roms}}
    return FoldedDesign(files, module, plan.latency, plan.interval, RTL)


def _missing(stage: Stage) -> Integers:
    """The true sum of each channel less that of cdg_product, which counts every product from its lowest value."""
    minus, plus = (stage.weights == -1).sum(axis=0), (stage.weights == 1).sum(axis=0)
    if stage.input_ternary:
        return np.zeros_like(minus)
    half = 1 << (stage.input_bits - 1)
    found: Integers = -half * plus - (half - 1) * minus if stage.input_signed else -(2 * half - 1) * minus
    return found


class _Plan:
    """Every width and constant of one stage's module."""

    def __init__(self, stage: Stage, folding: Folding, module: str) -> None:
        self.stage, self.module = stage, module
        self.pe, self.simd = folding.pe, folding.simd
        self.groups = -(-stage.n_out // self.pe)
        self.slices = -(-stage.n_in // self.simd)
        self.steps = folding.steps(stage.n_in, stage.n_out)
        # What cdg_product leaves out comes back with the bias or the threshold.
        self.missing = _missing(stage)
        lowest, highest = int((stage.acc_low - self.missing).min()), int((stage.acc_high - self.missing).max())
        self.thresholded = stage.output_ternary
        whole = FixedType.holding(min(lowest, -1), highest + 1).bits
        # The scaled sum is right modulo its width whatever the bits above are.
        self.acc_bits = whole if self.thresholded else min(whole, stage.value_bits)
        self.latency, self.interval = folding.timing(stage)
        self.weights = self._weights()
        self.channels = self._channels()

    def _weights(self) -> Rom:
        stage = self.stage
        padded = np.zeros((self.slices * self.simd, self.groups * self.pe), dtype=np.int64)
        padded[: stage.n_in, : stage.n_out] = stage.weights
        # (slice, lane, group, channel) -> one word per (group, slice), its fields ordered (channel, lane)
        words = padded.reshape(self.slices, self.simd, self.groups, self.pe).transpose(2, 0, 3, 1)
        rows = pack(words.reshape(self.steps, -1), 2)
        width = self.pe * self.simd * 2
        block = earns_block_ram(width, self.steps)
        readers = 1 if block else -(-self.pe * self.simd // READ_LANES)
        holds = (
            f"Weights of {stage.name!a}, {self.pe} channels of {self.simd} inputs a word, 2 bits each.\n"
            f"Word g * {self.slices} + s: channels from g * {self.pe}, inputs from s * {self.simd}."
        )
        return Rom(f"{self.module}_weights", rows, width, holds, block, readers)

    def _channels(self) -> Rom:
        fields = self._thresholds() if self.thresholded else self._scaling()
        names = (
            ("threshold of +1 (from)", "threshold of -1 (below)") if self.thresholded else ("shift to the left", "bias")
        )
        words = [0] * self.groups
        offset = 0
        for lane in range(self.pe):
            for values, bits in fields:
                padded = np.zeros(self.groups * self.pe, dtype=np.int64)
                padded[: self.stage.n_out] = values
                for group, word in enumerate(pack(padded[lane :: self.pe, None], bits)):
                    words[group] |= word << offset
                offset += bits
        # a binary activation has the first threshold alone
        what = [f"{name} ({bits} bits)" for name, (_, bits) in zip(names, fields, strict=False)]
        holds = f"Of {self.stage.name!a}, {self.pe} channels a word, of each from bit 0 on: {', '.join(what)}."
        return Rom(f"{self.module}_channels", tuple(words), offset, holds)

    def _thresholds(self) -> list[tuple[Integers, int]]:
        """Thresholds of the sum: at or above the first the output is +1, below the last it is -1."""
        stage = self.stage
        lowest, above = stage.acc_low, stage.acc_high + 1
        match stage.activation:
            case Ternary(threshold=threshold):
                plus = -((stage.bias - threshold) >> stage.up)
                minus = ((-threshold - stage.bias) >> stage.up) + 1
                limits = [plus, minus]
            case _:
                limits = [-(stage.bias >> stage.up)]
        return [(np.clip(limit, lowest, above) - self.missing, self.acc_bits) for limit in limits]

    @property
    def up_bits(self) -> int:
        return max(1, int(self.stage.up.max()).bit_length())

    def _scaling(self) -> list[tuple[Integers, int]]:
        stage = self.stage
        return [(stage.up, self.up_bits), (stage.bias + (self.missing << stage.up), stage.value_bits)]

    def text(self) -> str:
        """SystemVerilog of the stage."""
        stage = self.stage
        inputs = "trits" if stage.input_ternary else _counted(stage.input_bits, stage.input_signed, "input")
        outputs = "trits" if stage.output_ternary else _counted(stage.output_bits, stage.output_low < 0, "output")
        in_range, out_range = vector(stage.n_in * stage.input_bits), vector(stage.n_out * stage.output_bits)
        return f"""\
// {stage.name!a}: {stage.n_in} {inputs} to {stage.n_out} {outputs}, {self.simd} inputs x {self.pe} outputs per step.
// {type(stage.activation).__name__} activation. Latency {self.latency} cycles, one vector every {self.interval}.
`default_nettype none

module {self.module} (
    input  wire logic clk,
    input  wire logic rst_n,
    input  wire logic s_valid,
    output logic s_ready,
    input  wire logic {in_range} s_data,
    output logic m_valid,
    input  wire logic m_ready,
    output logic {out_range} m_data
);
{self._sums_text()}
{self._threshold_text() if self.thresholded else self._scaling_text()}
  cdg_collect #(
      .N_OUT({stage.n_out}),
      .OUT_W({stage.output_bits}),
      .PE({self.pe})
  ) collect (
      .clk    (clk),
      .rst_n  (rst_n),
      .s_valid(group_valid),
      .s_last (group_last),
      .s_data (group),
      .retire (retire),
      .m_valid(m_valid),
      .m_ready(m_ready),
      .m_data (m_data)
  );
endmodule

`default_nettype wire
"""

    def _sums_text(self) -> str:
        stage, weights, channels = self.stage, self.weights, self.channels
        return f"""\
  logic {vector(weights.readers * weights.address_bits)} step;
  logic {vector(weights.width)} trits;
  logic {vector(channels.address_bits)} channel;
  logic {vector(channels.width)} constants;
  logic {vector(self.pe * self.acc_bits)} acc;
  logic acc_valid, acc_last;
  logic {vector(self.pe * stage.output_bits)} group;
  logic group_valid, group_last;
  logic retire;

  {_instance(weights, "weights", "step", "trits")}

  cdg_mvu #(
      .N_IN({stage.n_in}),
      .N_OUT({stage.n_out}),
      .SIMD({self.simd}),
      .PE({self.pe}),
      .IN_W({stage.input_bits}),
      .IN_SIGNED(1'b{int(stage.input_signed)}),
      .TERNARY(1'b{int(stage.input_ternary)}),
      .ADDRESSES({weights.readers}),
      .ACC_W({self.acc_bits}),
      .TREE_REG({TREE_REG}),
      .INTERVAL({self.interval})
  ) mvu (
      .clk         (clk),
      .rst_n       (rst_n),
      .s_valid     (s_valid),
      .s_ready     (s_ready),
      .s_data      (s_data),
      .rom_addr    (step),
      .rom_data    (trits),
      .retire      (retire),
      .acc_valid   (acc_valid),
      .acc_last    (acc_last),
      .acc         (acc),
      .channel_addr(channel)
  );

  {_instance(channels, "channels", "channel", "constants")}
"""

    def _threshold_text(self) -> str:
        bits, lane_bits = self.acc_bits, self.channels.width // self.pe
        t_neg = f"p*{lane_bits}+{lane_bits - bits}+:{bits}"
        return f"""\
  for (genvar p = 0; p < {self.pe}; p++) begin : gen_activation
    cdg_ternary_act #(
        .ACC_W({bits})
    ) act (
        .acc  (acc[p*{bits}+:{bits}]),
        .t_pos(constants[p*{lane_bits}+:{bits}]),
        .t_neg(constants[{t_neg}]),
        .y    (group[p*2+:2])
    );
  end

  assign group_valid = acc_valid;
  assign group_last  = acc_last;
"""

    def _scaling_text(self) -> str:
        stage, lane_bits = self.stage, self.channels.width // self.pe
        match stage.activation:
            case Quantize(shift=shift, low=low, high=high):
                pass
            case _:
                shift, low, high = 0, stage.value_low, stage.value_high
        return f"""\
  for (genvar p = 0; p < {self.pe}; p++) begin : gen_activation
    cdg_requant #(
        .ACC_W({self.acc_bits}),
        .UP_W({self.up_bits}),
        .V_W({stage.value_bits}),
        .SHIFT({shift}),
        .OUT_W({stage.output_bits}),
        .LO({_literal(low)}),
        .HI({_literal(high)})
    ) requant (
        .clk (clk),
        .acc (acc[p*{self.acc_bits}+:{self.acc_bits}]),
        .up  (constants[p*{lane_bits}+:{self.up_bits}]),
        .bias(constants[p*{lane_bits}+{self.up_bits}+:{stage.value_bits}]),
        .y   (group[p*{stage.output_bits}+:{stage.output_bits}])
    );
  end

  // The register inside cdg_requant delays the group by one cycle.
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      group_valid <= 1'b0;
      group_last  <= 1'b0;
    end else begin
      group_valid <= acc_valid;
      group_last  <= acc_last;
    end
  end
"""


def _counted(bits: int, signed: bool, what: str) -> str:
    return f"{bits}-bit {'signed ' if signed else ''}{what}s"


def _instance(rom: Rom, name: str, address: str, data: str) -> str:
    nets = {"clk": "clk", "addr": address, "data": data}
    ports = ",\n".join(f"      .{port:4}({nets[port]})" for port in rom.ports)
    waste = f"\n  wire logic unused_{address} = &{{1'b0, {address}}};" if "addr" not in rom.ports else ""
    return f"{rom.module} {name} (\n{ports}\n  );{waste}"


def _literal(value: int) -> str:
    return f"-64'sd{-value}" if value < 0 else f"64'sd{value}"
