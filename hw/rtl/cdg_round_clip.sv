// Rounds value / 2^SHIFT half to even and clips it to LO..HI, which OUT_W bits hold. value must
// already hold half a step: the caller adds 2^(SHIFT-1) together with its bias. Purely
// combinational.
`default_nettype none

module cdg_round_clip #(
    parameter int IN_W       = 10,
    parameter int SHIFT      = 2,
    parameter int OUT_W      = 4,
    parameter bit OUT_SIGNED = 1'b0,
    parameter logic signed [63:0] LO = 0,
    parameter logic signed [63:0] HI = 15
) (
    input  wire logic signed [ IN_W-1:0] value,
    output logic             [OUT_W-1:0] y
);
  if (SHIFT < 0 || OUT_W < 1 || IN_W < 1) begin : gen_check
    $error("cdg_round_clip: SHIFT must be 0 or more, IN_W and OUT_W at least 1");
  end

  // First to the whole format, by its upper bits alone; a bound inside the format then is a
  // comparison of OUT_W bits.
  localparam logic signed [63:0] FORMAT_LO = OUT_SIGNED ? -(64'sd1 <<< (OUT_W - 1)) : 64'sd0;
  localparam logic signed [63:0] FORMAT_HI = (64'sd1 <<< (OUT_SIGNED ? OUT_W - 1 : OUT_W)) - 1;

  if (LO < FORMAT_LO || HI > FORMAT_HI || LO > HI) begin : gen_check_range
    $error("cdg_round_clip: LO..HI must be a range that OUT_W bits hold");
  end

  // Wide enough to see every bit that decides about saturation.
  localparam int Q_W = (IN_W > OUT_W ? IN_W : OUT_W + 1) + 1;

  logic signed [Q_W-1:0] quotient;
  logic [OUT_W-1:0] whole;
  logic tie;

  // Wires for an arithmetic shift: Verilator 5.048 takes {1'b0, x} >>> 1 for negative where x would
  // be.
  for (genvar i = 0; i < Q_W; i++) begin : gen_quotient
    assign quotient[i] = value[i+SHIFT<IN_W?i+SHIFT : IN_W-1];
  end

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
      whole = quotient[OUT_W-1:0];
      whole[0] = quotient[0] && !tie;
      if (!fits) whole = {quotient[Q_W-1], {(OUT_W - 1) {!quotient[Q_W-1]}}};
    end
  end else begin : gen_unsigned
    logic over;
    assign over = quotient[Q_W-2:OUT_W] != '0;
    always_comb begin
      whole = quotient[OUT_W-1:0];
      whole[0] = quotient[0] && !tie;
      if (over) whole = '1;
      if (quotient[Q_W-1]) whole = '0;
    end
  end

  logic below, above;

  if (LO == FORMAT_LO) begin : gen_any_low
    assign below = 1'b0;
  end else if (OUT_SIGNED) begin : gen_signed_low
    assign below = $signed(whole) < $signed(OUT_W'(LO));
  end else begin : gen_unsigned_low
    assign below = whole < OUT_W'(LO);
  end

  if (HI == FORMAT_HI) begin : gen_any_high
    assign above = 1'b0;
  end else if (OUT_SIGNED) begin : gen_signed_high
    assign above = $signed(whole) > $signed(OUT_W'(HI));
  end else begin : gen_unsigned_high
    assign above = whole > OUT_W'(HI);
  end

  assign y = below ? OUT_W'(LO) : above ? OUT_W'(HI) : whole;
endmodule

`default_nettype wire
