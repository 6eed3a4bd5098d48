// Ternary activation by two thresholds: +1 where acc >= t_pos, -1 where acc < t_neg, else 0, with
// t_neg <= t_pos. Equal thresholds make it the binary activation.
`default_nettype none

module cdg_ternary_act #(
    parameter int ACC_W = 8
) (
    input  wire logic signed [ACC_W-1:0] acc,
    input  wire logic signed [ACC_W-1:0] t_pos,
    input  wire logic signed [ACC_W-1:0] t_neg,
    output logic             [      1:0] y
);
  if (ACC_W < 1) begin : gen_check
    $error("cdg_ternary_act: ACC_W must be at least 1");
  end

  logic minus;

  assign minus = acc < t_neg;
  assign y = {minus, minus || acc >= t_pos};
endmodule

`default_nettype wire
