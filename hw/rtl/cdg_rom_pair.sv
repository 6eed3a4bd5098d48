// Two data bits of up to 32 constant words in one LUT6_2: bit n of LOW and HIGH is that of word n.
`default_nettype none

module cdg_rom_pair #(
    parameter int DEPTH = 32,
    parameter logic [DEPTH-1:0] LOW = '0,
    parameter logic [DEPTH-1:0] HIGH = '0,
    localparam int ADDR_W = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  wire logic [ADDR_W-1:0] addr,
    output logic      [       1:0] data
);
  if (DEPTH < 1 || DEPTH > 32) begin : gen_check
    $error("cdg_rom_pair: DEPTH must be 1 to 32");
  end

  logic [4:0] word;

  assign word = 5'(addr);

`ifdef SYNTHESIS
  LUT6_2 #(
      .INIT({32'(HIGH), 32'(LOW)})
  ) lut (
      .I0(word[0]),
      .I1(word[1]),
      .I2(word[2]),
      .I3(word[3]),
      .I4(word[4]),
      .I5(1'b1),
      .O6(data[1]),
      .O5(data[0])
  );
`else
  localparam logic [31:0] LOW_ALL = 32'(LOW);
  localparam logic [31:0] HIGH_ALL = 32'(HIGH);
  assign data = {HIGH_ALL[word], LOW_ALL[word]};
`endif
endmodule

`default_nettype wire
