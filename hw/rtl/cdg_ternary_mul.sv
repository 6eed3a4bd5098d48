// Ternary multiplier of TOT-Net: sign by XOR, magnitude by AND. A trit is {sign, magnitude}, which
// is 2-bit two's complement; zero is canonical (2'b00), so the sign is masked by the magnitude. Both
// bits are one LUT6_2.
`default_nettype none

module cdg_ternary_mul (
    input  wire logic [1:0] a,
    input  wire logic [1:0] b,
    output logic      [1:0] y
);
`ifdef SYNTHESIS
  LUT6_2 #(
      .INIT({{2{16'h2080}}, {2{16'hA0A0}}})
  ) lut (
      .I0(a[0]),
      .I1(a[1]),
      .I2(b[0]),
      .I3(b[1]),
      .I4(1'b0),
      .I5(1'b1),
      .O6(y[1]),
      .O5(y[0])
  );
`else
  logic magnitude;

  assign magnitude = a[0] & b[0];
  assign y = {(a[1] ^ b[1]) & magnitude, magnitude};
`endif
endmodule

`default_nettype wire
