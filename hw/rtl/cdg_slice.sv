// One of COUNT slices of WIDTH bits: the one whose number was on next a cycle before. Every few bits
// have a register of that number of their own, so that none drives a net across all of them.
`default_nettype none

module cdg_slice #(
    parameter int COUNT = 4,
    parameter int WIDTH = 8,
    localparam int SELECT_W = COUNT > 1 ? $clog2(COUNT) : 1
) (
    input  wire logic                   clk,
    input  wire logic                   rst_n,
    input  wire logic [   SELECT_W-1:0] next,
    input  wire logic [COUNT*WIDTH-1:0] slices,
    output logic      [      WIDTH-1:0] chosen
);
  localparam int FOURS = (COUNT + 3) / 4;
  // Bits of a register: it drives about 32 LUTs.
  localparam int LOADS = FOURS > 32 ? 1 : 32 / FOURS;

  if (COUNT < 2 || WIDTH < 1) begin : gen_check
    $error("cdg_slice: COUNT must be at least 2 and WIDTH at least 1");
  end

  for (genvar k = 0; k * LOADS < WIDTH; k++) begin : gen_copy
    // Kept, because equal registers would be merged into one again.
    (* keep, dont_touch = "yes" *) logic [SELECT_W-1:0] select_q;
    logic [SELECT_W+1:0] select;

    always_ff @(posedge clk) begin
      if (!rst_n) select_q <= '0;
      else select_q <= next;
    end

    assign select = (SELECT_W + 2)'(select_q);

    // Four by four in a LUT each, then by wide multiplexers.
    for (genvar b = k * LOADS; b < WIDTH && b < (k + 1) * LOADS; b++) begin : gen_bit
      logic [FOURS-1:0] fours;

      for (genvar i = 0; i < FOURS; i++) begin : gen_four
        logic [3:0] choices;
        for (genvar j = 0; j < 4; j++) begin : gen_choice
          if (4 * i + j < COUNT) begin : gen_slice
            assign choices[j] = slices[(4*i+j)*WIDTH+b];
          end else begin : gen_none
            assign choices[j] = 1'b0;
          end
        end
        assign fours[i] = choices[select[1:0]];
      end

      if (FOURS == 1) begin : gen_one
        assign chosen[b] = fours[0];
      end else begin : gen_wide
        cdg_choose #(
            .COUNT(FOURS)
        ) choice (
            .bits  (fours),
            .select(select[2+:$clog2(FOURS)]),
            .data  (chosen[b])
        );
      end
    end

    logic unused;
    assign unused = &{1'b0, select};
  end
endmodule

`default_nettype wire
