// Trit times operand, without sign and without carry: x for +1, 0 for 0, and the inverse of x for -1,
// where a signed x counts from its lowest value. What is missing from the true product depends on
// the trit alone, so the caller adds it once per channel, to its bias or its threshold. Two bits of
// a product share a LUT6_2.
`default_nettype none

module cdg_product #(
    parameter int X_W = 4,
    parameter bit X_SIGNED = 1'b0
) (
    input  wire logic [    1:0] trit,
    input  wire logic [X_W-1:0] x,
    output logic      [X_W-1:0] y
);
  if (X_W < 1) begin : gen_check
    $error("cdg_product: X_W must be at least 1");
  end

  // From the lowest value on: the sign bit is flipped.
  localparam logic [X_W-1:0] FLIP = X_W'(X_SIGNED) << (X_W - 1);

`ifdef SYNTHESIS
  for (genvar i = 0; i + 1 < X_W; i += 2) begin : gen_pair
    // The low half by (x[i], trit), the high one by (x[i + 1], x[i], trit), which hides x[i].
    localparam logic [15:0] HIGH = FLIP[i+1] ? 16'h8822 : 16'h2288;
    LUT6_2 #(
        .INIT({HIGH, HIGH, {4{8'h28}}})
    ) lut (
        .I0(trit[0]),
        .I1(trit[1]),
        .I2(x[i]),
        .I3(x[i+1]),
        .I4(1'b0),
        .I5(1'b1),
        .O6(y[i+1]),
        .O5(y[i])
    );
  end

  if (X_W % 2 == 1) begin : gen_last
    assign y[X_W-1] = trit[0] && (x[X_W-1] ^ FLIP[X_W-1] ^ trit[1]);
  end
`else
  assign y = trit[0] ? x ^ FLIP ^ {X_W{trit[1]}} : '0;
`endif
endmodule

`default_nettype wire
