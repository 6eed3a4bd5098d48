// Rounds value / 2^SHIFT half to even and clips it to OUT_W bits. value must already hold half a
// step: the caller adds 2^(SHIFT-1) together with its bias. Purely combinational.
`default_nettype none

module cdg_round_clip #(
    parameter int IN_W       = 10,
    parameter int SHIFT      = 2,
    parameter int OUT_W      = 4,
    parameter bit OUT_SIGNED = 1'b0
) (
    input  wire logic signed [ IN_W-1:0] value,
    output logic             [OUT_W-1:0] y
);
  if (SHIFT < 0 || OUT_W < 1 || IN_W < 1) begin : gen_check
    $error("cdg_round_clip: SHIFT must be 0 or more, IN_W and OUT_W at least 1");
  end

  // Wide enough to see every bit that decides about saturation.
  localparam int Q_W = (IN_W > OUT_W ? IN_W : OUT_W) + 1;

  logic signed [Q_W-1:0] quotient;
  logic tie;

  assign quotient = Q_W'(value >>> SHIFT);

  if (SHIFT == 0) begin : gen_exact
    assign tie = 1'b0;
  end else if (SHIFT <= IN_W) begin : gen_tie
    assign tie = value[SHIFT-1:0] == '0;
  end else begin : gen_tiny
    assign tie = value == '0;
  end

  if (OUT_SIGNED) begin : gen_signed
    logic fits;
    assign fits = quotient[Q_W-1:OUT_W-1] == '0 || quotient[Q_W-1:OUT_W-1] == '1;
    always_comb begin
      y = quotient[OUT_W-1:0];
      y[0] = quotient[0] && !tie;
      if (!fits) y = {quotient[Q_W-1], {(OUT_W - 1) {!quotient[Q_W-1]}}};
    end
  end else begin : gen_unsigned
    logic over;
    assign over = quotient[Q_W-2:OUT_W] != '0;
    always_comb begin
      y = quotient[OUT_W-1:0];
      y[0] = quotient[0] && !tie;
      if (over) y = '1;
      if (quotient[Q_W-1]) y = '0;
    end
  end
endmodule

`default_nettype wire
