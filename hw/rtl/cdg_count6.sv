// How many of six bits are set, as three functions of six inputs: one LUT6 each, no carry chain.
`default_nettype none

module cdg_count6 (
    input  wire logic [5:0] x,
    output logic      [2:0] y
);
  // Two full adders, and the sum of what they give.
  logic [1:0] sums, carries;
  logic both;

  for (genvar i = 0; i < 2; i++) begin : gen_half
    assign sums[i] = x[3*i] ^ x[3*i+1] ^ x[3*i+2];
    assign carries[i] = (x[3*i] & x[3*i+1]) | (x[3*i+2] & (x[3*i] | x[3*i+1]));
  end

  assign both = sums[0] & sums[1];
  assign y[0] = sums[0] ^ sums[1];
  assign y[1] = carries[0] ^ carries[1] ^ both;
  assign y[2] = (carries[0] & carries[1]) | (both & (carries[0] | carries[1]));
endmodule

`default_nettype wire
