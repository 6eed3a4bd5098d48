// A monotone step function: y = BASE + the number of THRESHOLDS that value has
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
  if (IN_W < 1 || COUNT < 1) begin : gen_check
    $error("cdg_staircase: IN_W and COUNT must be at least 1");
  end

  logic [COUNT-1:0] reached;

  for (genvar i = 0; i < COUNT; i++) begin : gen_step
    // Order of two's complement numbers is that of plain ones once both sign bits are flipped.
    localparam logic [IN_W-1:0] LIMIT = THRESHOLDS[i*IN_W+:IN_W] ^ (IN_W'(1) << (IN_W - 1));
    logic [IN_W-1:0] plain;
    logic [  IN_W:0] at_least;

    assign plain = value ^ (IN_W'(1) << (IN_W - 1));
    assign at_least[0] = 1'b1;
    for (genvar b = 0; b < IN_W; b++) begin : gen_bit
      assign at_least[b+1] = LIMIT[b] ? plain[b] && at_least[b] : plain[b] || at_least[b];
    end
    assign reached[i] = at_least[IN_W];
  end

  if (COUNT <= 3) begin : gen_few
    always_comb begin
      y = BASE;
      for (int i = 0; i < COUNT; i++) begin
        if (reached[i]) y = BASE + OUT_W'(i + 1);
      end
    end
  end else begin : gen_many
    // The number that is reached by bisection: a tree of choices, not a chain as long as COUNT.
    localparam int BITS = $clog2(COUNT + 1);
    logic [(1<<BITS)-2:0] rest;
    logic [BITS-1:0] number;

    always_comb begin
      rest = ((1 << BITS) - 1)'(reached);
      for (int b = BITS - 1; b >= 0; b--) begin
        number[b] = rest[(1<<b)-1];
        for (int i = 0; i < (1 << b) - 1; i++) if (number[b]) rest[i] = rest[i+(1<<b)];
      end
    end
    assign y = BASE + OUT_W'(number);
  end
endmodule

`default_nettype wire
