// bits[select], through the wide multiplexers of a slice, which cost nothing behind LUTs: four bits
// each by MUXF7 and MUXF8; of what these give four in a LUT each, and so on. Left to itself, synthesis
// decodes select once for all, by nets that are slow.
`default_nettype none

module cdg_choose #(
    parameter int COUNT = 4,
    localparam int SELECT_W = COUNT > 1 ? $clog2(COUNT) : 1
) (
    input  wire logic [   COUNT-1:0] bits,
    input  wire logic [SELECT_W-1:0] select,
    output logic                     data
);
  if (COUNT < 1) begin : gen_check
    $error("cdg_choose: COUNT must be at least 1");
  end

`ifdef SYNTHESIS
  localparam int PAIRS = (COUNT + 1) / 2;
  localparam int FOURS = (PAIRS + 1) / 2;

  logic [PAIRS-1:0] pairs;
  logic [FOURS-1:0] fours;

  for (genvar i = 0; i < PAIRS; i++) begin : gen_pair
    if (2 * i + 1 < COUNT) begin : gen_mux
      MUXF7 mux (
          .I0(bits[2*i]),
          .I1(bits[2*i+1]),
          .S (select[0]),
          .O (pairs[i])
      );
    end else begin : gen_odd
      assign pairs[i] = bits[2*i];
    end
  end

  for (genvar i = 0; i < FOURS; i++) begin : gen_four
    // An MUXF8 takes what two MUXF7 give.
    if (2 * i + 1 < PAIRS && 4 * i + 3 < COUNT) begin : gen_mux
      MUXF8 mux (
          .I0(pairs[2*i]),
          .I1(pairs[2*i+1]),
          .S (select[1]),
          .O (fours[i])
      );
    end else if (2 * i + 1 < PAIRS) begin : gen_lut
      assign fours[i] = select[1] ? pairs[2*i+1] : pairs[2*i];
    end else begin : gen_odd
      assign fours[i] = pairs[2*i];
    end
  end

  if (FOURS == 1) begin : gen_one
    assign data = fours[0];
  end else begin : gen_more
    localparam int LUTS = (FOURS + 3) / 4;
    localparam int CHOICE_W = LUTS > 1 ? $clog2(LUTS) : 1;
    logic [4*LUTS-1:0] padded;
    logic [SELECT_W+1:0] above;
    logic [LUTS-1:0] chosen;

    assign padded = (4 * LUTS)'(fours);
    assign above  = (SELECT_W + 2)'(select[SELECT_W-1:2]);

    for (genvar i = 0; i < LUTS; i++) begin : gen_lut
      logic [3:0] choices;
      assign choices   = padded[4*i+:4];
      assign chosen[i] = choices[above[1:0]];
    end

    cdg_choose #(
        .COUNT(LUTS)
    ) choice (
        .bits  (chosen),
        .select(above[2+:CHOICE_W]),
        .data  (data)
    );
  end
`else
  // Beyond the last there is nothing to be chosen.
  localparam int PADDED = 1 << SELECT_W;
  logic [PADDED-1:0] padded;

  assign padded = PADDED'(bits);
  assign data = padded[select];
`endif
endmodule

`default_nettype wire
