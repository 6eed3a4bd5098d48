// WIDTH functions of the same five bits, two in a LUT6_2: bit k of y is entry x of TABLE[32*k+:32].
`default_nettype none

module cdg_lut5 #(
    parameter int WIDTH = 2,
    parameter logic [32*WIDTH-1:0] TABLE = {32'hE8E8_E8E8, 32'h9696_9696}
) (
    input  wire logic [      4:0] x,
    output logic      [WIDTH-1:0] y
);
  if (WIDTH < 1) begin : gen_check
    $error("cdg_lut5: WIDTH must be at least 1");
  end

`ifdef SYNTHESIS
  for (genvar k = 0; k + 1 < WIDTH; k += 2) begin : gen_pair
    LUT6_2 #(
        .INIT(TABLE[32*k+:64])
    ) lut (
        .I0(x[0]),
        .I1(x[1]),
        .I2(x[2]),
        .I3(x[3]),
        .I4(x[4]),
        .I5(1'b1),
        .O6(y[k+1]),
        .O5(y[k])
    );
  end

  if (WIDTH % 2 == 1) begin : gen_last
    localparam logic [31:0] LAST = TABLE[32*(WIDTH-1)+:32];
    assign y[WIDTH-1] = LAST[x];
  end
`else
  for (genvar k = 0; k < WIDTH; k++) begin : gen_bit
    localparam logic [31:0] ENTRIES = TABLE[32*k+:32];
    assign y[k] = ENTRIES[x];
  end
`endif
endmodule

`default_nettype wire
