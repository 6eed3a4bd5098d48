// Behavioural twins of the modules written as LUT functions, and the miters that compare them. A trit
// is never 2'b10, so a miter's output is true there.
`default_nettype none

module cdg_ternary_mul_ref (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    output logic      [1:0] y
);
  logic signed [3:0] product;

  assign product = 4'($signed(a)) * 4'($signed(b));
  assign y = product[1:0];
endmodule

module cdg_trit_sum_ref (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    input  wire logic [1:0] c,
    output logic      [2:0] y
);
  assign y = 3'($signed(a)) + 3'($signed(b)) + 3'($signed(c));
endmodule

module miter_ternary_mul (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    output logic            equal
);
  logic [1:0] y, y_ref;

  cdg_ternary_mul mul (.a, .b, .y(y));
  cdg_ternary_mul_ref mul_ref (.a, .b, .y(y_ref));
  assign equal = a == 2'b10 || b == 2'b10 || y == y_ref;
endmodule

module miter_trit_sum (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    input  wire logic [1:0] c,
    output logic            equal
);
  logic [2:0] y, y_ref;

  cdg_trit_sum trits (.a, .b, .c, .y(y));
  cdg_trit_sum_ref trits_ref (.a, .b, .c, .y(y_ref));
  assign equal = a == 2'b10 || b == 2'b10 || c == 2'b10 || y == y_ref;
endmodule

`default_nettype wire
