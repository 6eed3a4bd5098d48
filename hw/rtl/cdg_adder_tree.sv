// Sum of N operands of W bits, signed or not, two by two, with registers after every REG levels but
// never after the last, which belongs to the caller. Initiation interval 1.
//   LEVELS  = clog2(N)
//   LATENCY = (LEVELS - 1) / REG cycles (0 where LEVELS is 0)
`default_nettype none

module cdg_adder_tree #(
    parameter int N = 8,
    parameter int W = 3,
    parameter int REG = 2,
    parameter bit IS_SIGNED = 1'b1,
    localparam int LEVELS = $clog2(N),
    localparam int SUM_W = W + LEVELS
) (
    input  wire logic             clk,
    input  wire logic [  N*W-1:0] operands,
    output logic      [SUM_W-1:0] sum
);
  if (N < 1 || W < 1 || REG < 1) begin : gen_check
    $error("cdg_adder_tree: N, W and REG must be at least 1");
  end

  // Level i takes ceil(N / 2^i) operands of W + i bits.
  for (genvar i = 0; i <= LEVELS; i++) begin : gen_level
    localparam int COUNT = (N + (1 << i) - 1) >> i;
    localparam int OP_W = W + i;
    logic [COUNT*OP_W-1:0] values;

    if (i == 0) begin : gen_leaves
      assign values = operands;
    end else begin : gen_sums
      localparam int BELOW = (N + (1 << (i - 1)) - 1) >> (i - 1);
      logic [COUNT*OP_W-1:0] sums;

      for (genvar k = 0; k < COUNT; k++) begin : gen_sum
        logic [OP_W-2:0] left;
        logic [OP_W-1:0] left_wide;
        assign left = gen_level[i-1].values[2*k*(OP_W-1)+:OP_W-1];
        assign left_wide = {IS_SIGNED && left[OP_W-2], left};

        if (2 * k + 1 < BELOW) begin : gen_pair
          logic [OP_W-2:0] right;
          assign right = gen_level[i-1].values[(2*k+1)*(OP_W-1)+:OP_W-1];
          assign sums[k*OP_W+:OP_W] = left_wide + {IS_SIGNED && right[OP_W-2], right};
        end else begin : gen_odd
          assign sums[k*OP_W+:OP_W] = left_wide;
        end
      end

      if (i % REG == 0 && i < LEVELS) begin : gen_registers
        always_ff @(posedge clk) begin
          values <= sums;
        end
      end else begin : gen_wires
        assign values = sums;
      end
    end
  end

  assign sum = gen_level[LEVELS].values;

  if (LEVELS <= REG) begin : gen_combinational
    logic unused;
    assign unused = &{1'b0, clk};
  end
endmodule

`default_nettype wire
