// Trit times multi-bit operand in one's complement: x for +1, 0 for 0, and -x - 1 for -1. The
// missing one of every -1 depends on the weights alone, so it is added once per channel, to its
// bias or its threshold, and no product needs a carry chain.
`default_nettype none

module cdg_select_neg #(
    parameter int X_W = 4,
    parameter bit X_SIGNED = 1'b0,
    localparam int Y_W = X_SIGNED ? X_W : X_W + 1
) (
    input  wire logic [    1:0] trit,
    input  wire logic [X_W-1:0] x,
    output logic      [Y_W-1:0] y
);
  if (X_W < 1) begin : gen_check
    $error("cdg_select_neg: X_W must be at least 1");
  end

  if (X_SIGNED) begin : gen_signed
    assign y = trit[0] ? x ^ {X_W{trit[1]}} : '0;
  end else begin : gen_unsigned
    assign y = trit[0] ? {trit[1], x ^ {X_W{trit[1]}}} : '0;
  end
endmodule

`default_nettype wire
