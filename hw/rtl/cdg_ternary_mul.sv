// Ternary multiplier of TOT-Net: sign by XOR, magnitude by AND. A trit is {sign, magnitude}, which
// is 2-bit two's complement; zero is canonical (2'b00), so the sign is masked by the magnitude.
`default_nettype none

module cdg_ternary_mul (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    output logic      [1:0] y
);
  logic magnitude;

  assign magnitude = a[0] & b[0];
  assign y = {(a[1] ^ b[1]) & magnitude, magnitude};
endmodule

`default_nettype wire
