// One data bit of DEPTH constant words: a LUT6 for every 64 of them, and wide multiplexers. Left to
// itself, synthesis shares parts of similar columns and ends with nearly twice the LUTs.
`default_nettype none

module cdg_rom_column #(
    parameter int DEPTH = 64,
    parameter logic [DEPTH-1:0] WORDS = '0,
    localparam int ADDR_W = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  wire logic [ADDR_W-1:0] addr,
    output logic                   data
);
  localparam int BANKS = (DEPTH + 63) / 64;
  localparam logic [BANKS*64-1:0] PADDED = (BANKS * 64)'(WORDS);

  if (DEPTH < 1) begin : gen_check
    $error("cdg_rom_column: DEPTH must be at least 1");
  end

  logic [5:0] low;
  logic [BANKS-1:0] bits;

  assign low = 6'(addr);

  for (genvar b = 0; b < BANKS; b++) begin : gen_bank
`ifdef SYNTHESIS
    LUT6 #(
        .INIT(PADDED[b*64+:64])
    ) lut (
        .I0(low[0]),
        .I1(low[1]),
        .I2(low[2]),
        .I3(low[3]),
        .I4(low[4]),
        .I5(low[5]),
        .O (bits[b])
    );
`else
    localparam logic [63:0] TABLE = PADDED[b*64+:64];
    assign bits[b] = TABLE[low];
`endif
  end

  if (BANKS == 1) begin : gen_one
    assign data = bits[0];
  end else begin : gen_choice
    cdg_choose #(
        .COUNT(BANKS)
    ) choice (
        .bits  (bits),
        .select(addr[ADDR_W-1:6]),
        .data  (data)
    );
  end
endmodule

`default_nettype wire
