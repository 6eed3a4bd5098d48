// Sum of three trits, -3 to 3, as three functions of six inputs: one LUT6 each, no carry chain.
`default_nettype none

module cdg_trit_sum (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    input  wire logic [1:0] c,
    output logic      [2:0] y
);
  // A trit is magnitude - 2 * sign: count both, then y = magnitudes - 2 * signs.
  logic [1:0] magnitudes, signs;

  assign magnitudes = {(a[0] & b[0]) | (c[0] & (a[0] | b[0])), a[0] ^ b[0] ^ c[0]};
  assign signs = {(a[1] & b[1]) | (c[1] & (a[1] | b[1])), a[1] ^ b[1] ^ c[1]};
  assign y = {
    signs[1] ^ (~magnitudes[1] & signs[0]), magnitudes[1] ^ signs[0], magnitudes[0]
  };
endmodule

`default_nettype wire
