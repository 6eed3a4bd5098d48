// Matrix-vector unit: PE channels x SIMD inputs per step, NF = ceil(N_OUT / PE) groups of
// SF = ceil(N_IN / SIMD) steps each, weights as trits from a ROM outside. Ternary inputs go through an
// array of cdg_ternary_mul, others through cdg_select_neg, whose missing ones the caller adds.
// The input vector is kept in a plain register and read through a multiplexer: a third of the LUTs of a
// register that loads and rotates.
//   rom_addr  the step whose weights rom_data must hold: now (ROM_REGISTERED = 0) or one cycle later
//   acc_*     the sums of one group, valid while acc_valid; acc_last marks a vector's last group
//   channel_addr  group that the next cycle's acc belongs to: address for registered channel ROMs
// Everything after the input register moves only while advance is high.
// From acceptance to the last acc_valid: NF*SF + 1 + (TERNARY ? 1 : 0) + tree latency cycles; interval NF*SF.
`default_nettype none

module cdg_mvu #(
    parameter int N_IN = 8,
    parameter int N_OUT = 4,
    parameter int SIMD = 4,
    parameter int PE = 2,
    parameter int IN_W = 2,
    parameter bit IN_SIGNED = 1'b1,
    parameter bit TERNARY = 1'b1,
    parameter bit ROM_REGISTERED = 1'b0,
    parameter int ACC_W = 5,
    parameter int TREE_REG = 2,
    localparam int SF = (N_IN + SIMD - 1) / SIMD,
    localparam int NF = (N_OUT + PE - 1) / PE,
    localparam int STEPS = SF * NF,
    localparam int STEP_W = STEPS > 1 ? $clog2(STEPS) : 1,
    localparam int CHANNEL_W = NF > 1 ? $clog2(NF) : 1
) (
    input  wire logic                 clk,
    input  wire logic                 rst_n,
    input  wire logic                 s_valid,
    output logic                      s_ready,
    input  wire logic [N_IN*IN_W-1:0] s_data,
    output logic      [   STEP_W-1:0] rom_addr,
    input  wire logic [PE*SIMD*2-1:0] rom_data,
    input  wire logic                 advance,
    output logic                      acc_valid,
    output logic                      acc_last,
    output logic      [ PE*ACC_W-1:0] acc,
    output logic      [CHANNEL_W-1:0] channel_addr
);
  localparam int PROD_W = TERNARY || IN_SIGNED ? IN_W : IN_W + 1;
  // Trits are summed by threes in LUTs before the tree.
  localparam int LEAVES = TERNARY ? (SIMD + 2) / 3 : SIMD;
  localparam int LEAF_W = TERNARY ? 3 : PROD_W;
  localparam int TREE_LEVELS = $clog2(LEAVES);
  localparam int TREE_LATENCY = TREE_LEVELS == 0 ? 0 : (TREE_LEVELS - 1) / TREE_REG;
  localparam int SUM_W = LEAF_W + TREE_LEVELS;
  localparam int DELAY = TREE_LATENCY + (TERNARY ? 1 : 0);

  if (SIMD < 1 || SIMD > N_IN || PE < 1 || PE > N_OUT) begin : gen_check_folding
    $error("cdg_mvu: SIMD must be 1 to N_IN and PE 1 to N_OUT");
  end
  if (TERNARY && (IN_W != 2 || !IN_SIGNED)) begin : gen_check_ternary
    $error("cdg_mvu: ternary inputs are signed with IN_W 2");
  end

  // Steps of one vector.
  logic [N_IN*IN_W-1:0] x_q;
  logic [SIMD*IN_W-1:0] x_step;
  logic [STEP_W-1:0] step_q, step_d;
  logic busy_q;
  logic step_first, step_group, step_last;

  assign step_last = step_q == STEP_W'(STEPS - 1);
  assign s_ready   = !busy_q || (step_last && advance);

  always_comb begin
    step_d = step_q;
    if (busy_q && advance) step_d = step_last ? '0 : step_q + 1'b1;
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      busy_q <= 1'b0;
      step_q <= '0;
    end else begin
      if (s_ready) busy_q <= s_valid;
      step_q <= step_d;
    end
  end

  always_ff @(posedge clk) begin
    if (s_valid && s_ready) x_q <= s_data;
  end

  assign rom_addr = ROM_REGISTERED ? step_d : step_q;

  if (SF == 1) begin : gen_whole_input
    assign step_first = 1'b1;
    assign step_group = 1'b1;
    assign x_step = x_q;
  end else begin : gen_input_slice
    localparam int SLICE_W = $clog2(SF);
    logic [SLICE_W-1:0] slice_q;
    logic [SF*SIMD*IN_W-1:0] slices;

    assign slices = (SF * SIMD * IN_W)'(x_q);
    assign x_step = slices[slice_q*(SIMD*IN_W)+:SIMD*IN_W];
    assign step_first = slice_q == '0;
    assign step_group = slice_q == SLICE_W'(SF - 1);

    always_ff @(posedge clk) begin
      if (!rst_n) slice_q <= '0;
      else if (busy_q && advance) slice_q <= step_group ? '0 : slice_q + 1'b1;
    end
  end

  // Flags that travel with a step: first of its group, group complete, vector complete.
  logic [2:0] flags_step, flags_sum;

  if (SF == 1) begin : gen_never_first
    logic unused;
    assign unused = &{1'b0, flags_sum[0]};
  end

  assign flags_step = {busy_q && step_last, busy_q && step_group, step_first};

  if (DELAY == 0) begin : gen_no_delay
    assign flags_sum = flags_step;
  end else begin : gen_delay
    logic [DELAY*3-1:0] flags_q;

    always_ff @(posedge clk) begin
      if (!rst_n) flags_q <= '0;
      else if (advance) flags_q <= (DELAY * 3)'({flags_q, flags_step});
    end

    assign flags_sum = flags_q[(DELAY-1)*3+:3];
  end

  // Products, their sum, and the accumulator of each channel.
  for (genvar p = 0; p < PE; p++) begin : gen_pe
    logic [SIMD*PROD_W-1:0] products;
    logic [LEAVES*LEAF_W-1:0] leaves;
    logic signed [SUM_W-1:0] sum;
    logic signed [ACC_W-1:0] sum_wide, acc_q;

    for (genvar s = 0; s < SIMD; s++) begin : gen_product
      if (TERNARY) begin : gen_ternary
        cdg_ternary_mul mul (
            .a(x_step[s*2+:2]),
            .b(rom_data[(p*SIMD+s)*2+:2]),
            .y(products[s*2+:2])
        );
      end else begin : gen_select
        cdg_select_neg #(
            .X_W(IN_W),
            .X_SIGNED(IN_SIGNED)
        ) select (
            .trit(rom_data[(p*SIMD+s)*2+:2]),
            .x   (x_step[s*IN_W+:IN_W]),
            .y   (products[s*PROD_W+:PROD_W])
        );
      end
    end

    if (TERNARY) begin : gen_threes
      logic [LEAVES*6-1:0] products_q;

      always_ff @(posedge clk) begin
        if (advance) products_q <= (LEAVES * 6)'(products);
      end

      for (genvar k = 0; k < LEAVES; k++) begin : gen_three
        cdg_trit_sum trits (
            .a(products_q[k*6+:2]),
            .b(products_q[k*6+2+:2]),
            .c(products_q[k*6+4+:2]),
            .y(leaves[k*3+:3])
        );
      end
    end else begin : gen_leaves
      assign leaves = products;
    end

    cdg_adder_tree #(
        .N  (LEAVES),
        .W  (LEAF_W),
        .REG(TREE_REG)
    ) tree (
        .clk     (clk),
        .ce      (advance),
        .operands(leaves),
        .sum     (sum)
    );

    // Only the final sum has to fit: everything here is modulo 2^ACC_W.
    assign sum_wide = ACC_W'(sum);
    if (SUM_W > ACC_W) begin : gen_modulo
      logic unused;
      assign unused = &{1'b0, sum[SUM_W-1:ACC_W]};
    end

    if (SF == 1) begin : gen_single
      always_ff @(posedge clk) begin
        if (advance) acc_q <= sum_wide;
      end
    end else begin : gen_accumulate
      always_ff @(posedge clk) begin
        if (advance) acc_q <= sum_wide + (flags_sum[0] ? '0 : acc_q);
      end
    end

    assign acc[p*ACC_W+:ACC_W] = acc_q;
  end

  logic acc_valid_q, acc_last_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      acc_valid_q <= 1'b0;
      acc_last_q  <= 1'b0;
    end else if (advance) begin
      acc_valid_q <= flags_sum[1];
      acc_last_q  <= flags_sum[2];
    end
  end

  assign acc_valid = acc_valid_q;
  assign acc_last  = acc_last_q;

  if (NF == 1) begin : gen_one_group
    assign channel_addr = '0;
  end else begin : gen_groups
    logic [CHANNEL_W-1:0] channel_q, channel_d;

    always_comb begin
      channel_d = channel_q;
      if (acc_valid_q && advance) channel_d = acc_last_q ? '0 : channel_q + 1'b1;
    end

    always_ff @(posedge clk) begin
      if (!rst_n) channel_q <= '0;
      else channel_q <= channel_d;
    end

    assign channel_addr = channel_d;
  end
endmodule

`default_nettype wire
