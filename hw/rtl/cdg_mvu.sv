// Matrix-vector unit: PE channels x SIMD inputs per step, NF = ceil(N_OUT / PE) groups of SF =
// ceil(N_IN / SIMD) steps each, weights as trits from a ROM outside. Ternary inputs go through an
// array of cdg_ternary_mul, others through cdg_product, whose missing part the caller adds.
// INTERVAL is at least NF*SF; the surplus is waited. The input vector is kept in a plain register
// and read through a multiplexer: a quarter of the LUTs of a register that loads and rotates.
//   rom_addr  the step whose weights rom_data must hold in the next cycle. One address for each of
//             ADDRESSES readers, all the same: one counter would drive a net across all weights.
//   acc_*     the sums of one group, valid while acc_valid; acc_last marks a vector's last group
//   channel_addr  group that the next cycle's acc belongs to: address for registered channel ROMs
// Nothing here ever stalls: a vector is accepted only while fewer than two are between s_* and
// retire, which is what cdg_collect can hold, so back-pressure needs no enable anywhere in the
// datapath. From acceptance to the last acc_valid: NF*SF + 3 + (TERNARY ? 0 : 1) + tree latency
// cycles; interval INTERVAL.
`default_nettype none

module cdg_mvu #(
    parameter int N_IN = 8,
    parameter int N_OUT = 4,
    parameter int SIMD = 4,
    parameter int PE = 2,
    parameter int IN_W = 2,
    parameter bit IN_SIGNED = 1'b1,
    parameter bit TERNARY = 1'b1,
    parameter int ADDRESSES = 1,
    parameter int ACC_W = 5,
    parameter int TREE_REG = 2,
    parameter int INTERVAL = 4,
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
    output logic [ADDRESSES*STEP_W-1:0] rom_addr,
    input  wire logic [PE*SIMD*2-1:0] rom_data,
    input  wire logic                 retire,
    output logic                      acc_valid,
    output logic                      acc_last,
    output logic      [ PE*ACC_W-1:0] acc,
    output logic      [CHANNEL_W-1:0] channel_addr
);
  // Trits are summed by threes in LUTs before the tree; of wider inputs six are, and registered.
  localparam int LEAVES = TERNARY ? (SIMD + 2) / 3 : (SIMD + 5) / 6;
  localparam int LEAF_W = TERNARY ? 3 : $clog2(6 * ((1 << IN_W) - 1) + 1);
  localparam int TREE_LEVELS = $clog2(LEAVES);
  localparam int TREE_LATENCY = TREE_LEVELS == 0 ? 0 : (TREE_LEVELS - 1) / TREE_REG;
  localparam int SUM_W = LEAF_W + TREE_LEVELS;
  // From a step to its sum: what is read, the products, leaves, tree.
  localparam int DELAY = 2 + (TERNARY ? 0 : 1) + TREE_LATENCY;

  if (SIMD < 1 || SIMD > N_IN || PE < 1 || PE > N_OUT) begin : gen_check_folding
    $error("cdg_mvu: SIMD must be 1 to N_IN and PE 1 to N_OUT");
  end
  if (IN_W < 1 || ACC_W < 1) begin : gen_check_widths
    $error("cdg_mvu: IN_W and ACC_W must be at least 1");
  end
  if (ADDRESSES < 1) begin : gen_check_addresses
    $error("cdg_mvu: ADDRESSES must be at least 1");
  end
  if (INTERVAL < STEPS) begin : gen_check_interval
    $error("cdg_mvu: INTERVAL must be at least NF * SF");
  end
  if (TERNARY && (IN_W != 2 || !IN_SIGNED)) begin : gen_check_ternary
    $error("cdg_mvu: ternary inputs are signed with IN_W 2");
  end

  // Steps of one vector.
  logic [N_IN*IN_W-1:0] x_q;
  logic [SIMD*IN_W-1:0] x_chosen, x_step_q;
  (* keep, dont_touch = "yes" *) logic [STEP_W-1:0] step_q;
  logic [STEP_W-1:0] step_d;
  logic busy_q;
  logic step_first, step_group, step_last;

  assign step_last = step_q == STEP_W'(STEPS - 1);

  always_comb begin
    step_d = step_q;
    if (busy_q) step_d = step_last ? '0 : step_q + 1'b1;
  end

  // Vectors accepted and not yet retired. Whether another may come is known a cycle before, so that
  // a register drives s_ready: all that feeds this layer hangs on it.
  logic [1:0] inflight_q, inflight_d;
  logic accept, idle_q, idle_d, ready_q;

  assign s_ready = ready_q;
  assign accept  = s_valid && ready_q;

  always_comb begin
    inflight_d = inflight_q;
    if (accept && !retire) inflight_d = inflight_q + 1'b1;
    else if (retire && !accept) inflight_d = inflight_q - 1'b1;
  end

  if (INTERVAL == 1) begin : gen_always_idle
    assign idle_d = 1'b1;
  end else if (INTERVAL == STEPS) begin : gen_no_wait
    assign idle_d = !accept && (idle_q || step_q == STEP_W'(STEPS - 2));
  end else begin : gen_wait
    localparam int WAIT_W = $clog2(INTERVAL);
    logic [WAIT_W-1:0] wait_q;

    assign idle_d = !accept && (idle_q || wait_q == WAIT_W'(1));

    always_ff @(posedge clk) begin
      if (!rst_n) wait_q <= '0;
      else if (accept) wait_q <= WAIT_W'(INTERVAL - 1);
      else if (!idle_q) wait_q <= wait_q - 1'b1;
    end
  end

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      busy_q     <= 1'b0;
      step_q     <= '0;
      inflight_q <= '0;
      idle_q     <= 1'b1;
      ready_q    <= 1'b1;
    end else begin
      if (accept) busy_q <= 1'b1;
      else if (step_last) busy_q <= 1'b0;
      step_q     <= step_d;
      inflight_q <= inflight_d;
      idle_q     <= idle_d;
      ready_q    <= !inflight_d[1] && idle_d;
    end
  end

  always_ff @(posedge clk) begin
    if (accept) x_q <= s_data;
  end

  for (genvar r = 0; r < ADDRESSES; r++) begin : gen_address
    // Kept, because equal registers would be merged into one again.
    (* keep, dont_touch = "yes" *) logic [STEP_W-1:0] address_q;

    always_ff @(posedge clk) begin
      if (!rst_n) address_q <= '0;
      else address_q <= step_d;
    end

    assign rom_addr[r*STEP_W+:STEP_W] = address_q;
  end

  if (SF == 1) begin : gen_whole_input
    assign step_first = 1'b1;
    assign step_group = 1'b1;
    assign x_chosen = x_q;
  end else begin : gen_input_slice
    localparam int SLICE_W = $clog2(SF);
    // Kept, because it would be merged with the equal registers of cdg_slice, which drive wide nets.
    (* keep, dont_touch = "yes" *) logic [SLICE_W-1:0] slice_q;
    logic [SLICE_W-1:0] slice_d;

    assign step_first = slice_q == '0;
    assign step_group = slice_q == SLICE_W'(SF - 1);

    always_comb begin
      slice_d = slice_q;
      if (busy_q) slice_d = step_group ? '0 : slice_q + 1'b1;
    end

    always_ff @(posedge clk) begin
      if (!rst_n) slice_q <= '0;
      else slice_q <= slice_d;
    end

    cdg_slice #(
        .COUNT(SF),
        .WIDTH(SIMD * IN_W)
    ) slice (
        .clk   (clk),
        .rst_n (rst_n),
        .next  (slice_d),
        .slices((SF * SIMD * IN_W)'(x_q)),
        .chosen(x_chosen)
    );
  end

  always_ff @(posedge clk) begin
    x_step_q <= x_chosen;
  end

  // Flags that travel with a step: group complete, vector complete. First of its group goes apart: of
  // its last register every channel has one, as it drives the whole accumulator.
  logic [1:0] flags_step, flags_sum;
  logic [DELAY*2-1:0] flags_q;
  logic [DELAY-2:0] first_q;

  assign flags_step = {busy_q && step_last, busy_q && step_group};
  assign flags_sum  = flags_q[(DELAY-1)*2+:2];

  always_ff @(posedge clk) begin
    if (!rst_n) flags_q <= '0;
    else flags_q <= (DELAY * 2)'({flags_q, flags_step});
    first_q <= (DELAY - 1)'({first_q, step_first});
  end

  if (SF == 1) begin : gen_never_first
    logic unused;
    assign unused = &{1'b0, first_q};
  end

  // Products, their sum, and the accumulator of each channel.
  for (genvar p = 0; p < PE; p++) begin : gen_pe
    logic [SIMD*IN_W-1:0] products, products_q;
    logic [LEAVES*LEAF_W-1:0] leaves, addends;
    logic [SUM_W-1:0] sum;
    logic [ACC_W-1:0] sum_wide, acc_q;

    for (genvar s = 0; s < SIMD; s++) begin : gen_product
      if (TERNARY) begin : gen_ternary
        cdg_ternary_mul mul (
            .a(x_step_q[s*2+:2]),
            .b(rom_data[(p*SIMD+s)*2+:2]),
            .y(products[s*2+:2])
        );
      end else begin : gen_wide
        cdg_product #(
            .X_W(IN_W),
            .X_SIGNED(IN_SIGNED)
        ) product (
            .trit(rom_data[(p*SIMD+s)*2+:2]),
            .x   (x_step_q[s*IN_W+:IN_W]),
            .y   (products[s*IN_W+:IN_W])
        );
      end
    end

    always_ff @(posedge clk) begin
      products_q <= products;
    end

    if (TERNARY) begin : gen_threes
      logic [LEAVES*6-1:0] padded;
      assign padded = (LEAVES * 6)'(products_q);

      for (genvar k = 0; k < LEAVES; k++) begin : gen_three
        cdg_trit_sum trits (
            .a(padded[k*6+:2]),
            .b(padded[k*6+2+:2]),
            .c(padded[k*6+4+:2]),
            .y(leaves[k*3+:3])
        );
      end
    end else begin : gen_sixes
      logic [LEAVES*6*IN_W-1:0] padded;
      assign padded = (LEAVES * 6 * IN_W)'(products_q);

      for (genvar k = 0; k < LEAVES; k++) begin : gen_six
        cdg_sum6 #(
            .W   (IN_W),
            .USED(SIMD - 6 * k < 6 ? SIMD - 6 * k : 6)
        ) six (
            .x(padded[k*6*IN_W+:6*IN_W]),
            .y(leaves[k*LEAF_W+:LEAF_W])
        );
      end
    end

    if (TERNARY) begin : gen_direct
      assign addends = leaves;
    end else begin : gen_registered
      always_ff @(posedge clk) begin
        addends <= leaves;
      end
    end

    cdg_adder_tree #(
        .N        (LEAVES),
        .W        (LEAF_W),
        .REG      (TREE_REG),
        .IS_SIGNED(TERNARY)
    ) tree (
        .clk     (clk),
        .operands(addends),
        .sum     (sum)
    );

    // Only the final sum has to fit: everything here is modulo 2^ACC_W.
    assign sum_wide = TERNARY ? ACC_W'($signed(sum)) : ACC_W'(sum);
    if (SUM_W > ACC_W) begin : gen_modulo
      logic unused;
      assign unused = &{1'b0, sum[SUM_W-1:ACC_W]};
    end

    if (SF == 1) begin : gen_single
      always_ff @(posedge clk) begin
        acc_q <= sum_wide;
      end
    end else begin : gen_accumulate
      // Kept, because equal registers would be merged into one again.
      (* keep, dont_touch = "yes" *) logic begin_q;

      always_ff @(posedge clk) begin
        begin_q <= first_q[DELAY-2];
        acc_q   <= sum_wide + (begin_q ? '0 : acc_q);
      end
    end

    assign acc[p*ACC_W+:ACC_W] = acc_q;
  end

  logic acc_valid_q, acc_last_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      acc_valid_q <= 1'b0;
      acc_last_q  <= 1'b0;
    end else begin
      acc_valid_q <= flags_sum[0];
      acc_last_q  <= flags_sum[1];
    end
  end

  assign acc_valid = acc_valid_q;
  assign acc_last  = acc_last_q;

  if (NF == 1) begin : gen_one_group
    assign channel_addr = '0;
  end else begin : gen_groups
    logic [CHANNEL_W-1:0] channel_q;

    always_ff @(posedge clk) begin
      if (!rst_n) channel_q <= '0;
      else if (flags_sum[0]) channel_q <= flags_sum[1] ? '0 : channel_q + 1'b1;
    end

    assign channel_addr = channel_q;
  end
endmodule

`default_nettype wire
