// How many of six bits are set: bit k of y is entry x of table k, a LUT6 each, no carry chain. Left to
// itself Yosys takes more of them, up to a sixth of the sum around. Of fewer than six bits USED, the
// others being 0, it finds the smaller functions.
`default_nettype none

module cdg_count6 #(
    parameter int USED = 6
) (
    input  wire logic [5:0] x,
    output logic      [2:0] y
);
  if (USED < 1 || USED > 6) begin : gen_check
    $error("cdg_count6: USED must be 1 to 6");
  end

  localparam logic [3*64-1:0] TABLES = {
    64'hFEE8_E880_E880_8000, 64'h8117_177E_177E_7EE8, 64'h6996_9669_9669_6996
  };

  for (genvar k = 0; k < 3; k++) begin : gen_bit
    localparam logic [63:0] TABLE = TABLES[64*k+:64];
`ifdef SYNTHESIS
    if (USED == 6) begin : gen_lut
      LUT6 #(
          .INIT(TABLE)
      ) lut (
          .I0(x[0]),
          .I1(x[1]),
          .I2(x[2]),
          .I3(x[3]),
          .I4(x[4]),
          .I5(x[5]),
          .O (y[k])
      );
    end else begin : gen_fewer
      assign y[k] = TABLE[x];
    end
`else
    assign y[k] = TABLE[x];
`endif
  end
endmodule

`default_nettype wire
