// Sum of six unsigned operands of W bits: the set bits of each place are counted in LUTs, and three
// counts that do not overlap are one number, so that two adders are the most there are. All but the
// first USED operands are 0.
`default_nettype none

module cdg_sum6 #(
    parameter int W = 2,
    parameter int USED = 6,
    localparam int SUM_W = $clog2(6 * ((1 << W) - 1) + 1)
) (
    input  wire logic [ 6*W-1:0] x,
    output logic      [SUM_W-1:0] y
);
  if (W < 1 || W > 28) begin : gen_check
    $error("cdg_sum6: W must be 1 to 28");
  end

  // Operand i holds the counts of places i, i + 3, i + 6 and so on.
  localparam int OPERANDS = W < 3 ? W : 3;
  logic [OPERANDS*SUM_W-1:0] operands;

  for (genvar i = 0; i < OPERANDS; i++) begin : gen_operand
    for (genvar b = 0; b < i; b++) begin : gen_below
      assign operands[i*SUM_W+b] = 1'b0;
    end

    for (genvar k = i; k < W; k += 3) begin : gen_place
      logic [5:0] places;
      for (genvar j = 0; j < 6; j++) begin : gen_bit
        assign places[j] = x[j*W+k];
      end

      cdg_count6 #(
          .USED(USED)
      ) count (
          .x(places),
          .y(operands[i*SUM_W+k+:3])
      );
    end

    // Above its last count an operand is empty.
    localparam int TOP = i + 3 * ((W - 1 - i) / 3) + 3;
    for (genvar b = TOP; b < SUM_W; b++) begin : gen_above
      assign operands[i*SUM_W+b] = 1'b0;
    end
  end

  if (OPERANDS == 1) begin : gen_one
    assign y = operands;
  end else if (OPERANDS == 2) begin : gen_two
    assign y = operands[0+:SUM_W] + operands[SUM_W+:SUM_W];
  end else begin : gen_three
    assign y = operands[0+:SUM_W] + operands[SUM_W+:SUM_W] + operands[2*SUM_W+:SUM_W];
  end
endmodule

`default_nettype wire
