// A monotone step function of few steps: y = BASE + the number of THRESHOLDS that value has
// reached. COUNT ascending signed thresholds of IN_W bits, packed, the smallest lowest. Purely
// combinational: each comparison with a constant is a chain of ANDs and ORs, which maps to wide
// LUTs, not to a carry chain.
`default_nettype none

module cdg_staircase #(
    parameter int IN_W  = 8,
    parameter int OUT_W = 2,
    parameter int COUNT = 2,
    parameter logic [COUNT*IN_W-1:0] THRESHOLDS = {8'sd5, -8'sd5},
    parameter logic [OUT_W-1:0] BASE = 2'b11
) (
    input  wire logic signed [ IN_W-1:0] value,
    output logic             [OUT_W-1:0] y
);
  if (IN_W < 2 || COUNT < 1) begin : gen_check
    $error("cdg_staircase: IN_W must be at least 2 and COUNT at least 1");
  end

  logic [COUNT-1:0] reached;

  for (genvar i = 0; i < COUNT; i++) begin : gen_step
    // Order of two's complement numbers is that of plain ones once both sign bits are flipped.
    localparam logic [IN_W-1:0] LIMIT = THRESHOLDS[i*IN_W+:IN_W] ^ (IN_W'(1) << (IN_W - 1));
    logic [IN_W-1:0] plain;
    logic [  IN_W:0] at_least;

    assign plain = {~value[IN_W-1], value[IN_W-2:0]};
    assign at_least[0] = 1'b1;
    for (genvar b = 0; b < IN_W; b++) begin : gen_bit
      assign at_least[b+1] = LIMIT[b] ? plain[b] && at_least[b] : plain[b] || at_least[b];
    end
    assign reached[i] = at_least[IN_W];
  end

  always_comb begin
    y = BASE;
    for (int i = 0; i < COUNT; i++) begin
      if (reached[i]) y = BASE + OUT_W'(i + 1);
    end
  end
endmodule

`default_nettype wire
