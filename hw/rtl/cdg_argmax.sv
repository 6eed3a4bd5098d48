// Place of the largest of COUNT elements of WIDTH bits, of equal ones the first: a tree of two by
// two. Free-running, initiation interval 1: bit i of REGISTERS puts a register in front of level i,
// and the latency is the number of its bits that are 1.
`default_nettype none

module cdg_argmax #(
    parameter int COUNT = 4,
    parameter int WIDTH = 2,
    parameter bit IS_SIGNED = 1'b0,
    parameter int REGISTERS = 0,
    localparam int LEVELS = $clog2(COUNT)
) (
    input  wire logic                   clk,
    input  wire logic [COUNT*WIDTH-1:0] x,
    output wire logic [     LEVELS-1:0] y
);
  if (COUNT < 2 || WIDTH < 1) begin : gen_check
    $error("cdg_argmax: COUNT must be at least 2 and WIDTH at least 1");
  end
  if (REGISTERS < 0 || REGISTERS >= (1 << LEVELS)) begin : gen_check_registers
    $error("cdg_argmax: REGISTERS must have a bit for each of the $clog2(COUNT) levels");
  end

  // Order of two's complement numbers is that of plain ones once the sign bits are flipped.
  wire logic [COUNT*WIDTH-1:0] plain = x ^ {COUNT{WIDTH'(IS_SIGNED) << (WIDTH - 1)}};

  if (REGISTERS == 0) begin : gen_no_clock
    wire logic unused = &{1'b0, clk};
  end

  // Level i has ceil(COUNT / 2^i) candidates, each with i bits of its place.
  for (genvar i = 0; i < LEVELS; i++) begin : gen_level
    localparam int LEFT = (COUNT + (1 << i) - 1) >> i;
    localparam int NEXT = (LEFT + 1) / 2;
    localparam int PLACE_W = i > 0 ? i : 1;
    logic [LEFT*WIDTH-1:0] from_values, values;
    logic [LEFT*PLACE_W-1:0] from_places, places;
    logic [NEXT*(i+1)-1:0] next_places;

    if (i == 0) begin : gen_first
      assign from_values = plain;
      assign from_places = '0;
    end else begin : gen_further
      assign from_values = gen_level[i-1].gen_values.next_values;
      assign from_places = gen_level[i-1].next_places;
    end

    if (REGISTERS[i]) begin : gen_register
      always_ff @(posedge clk) begin
        values <= from_values;
        places <= from_places;
      end
    end else begin : gen_wire
      assign values = from_values;
      assign places = from_places;
    end

    if (i + 1 < LEVELS) begin : gen_values
      logic [NEXT*WIDTH-1:0] next_values;
    end

    for (genvar k = 0; k < NEXT; k++) begin : gen_candidate
      wire logic [WIDTH-1:0] first = values[2*k*WIDTH+:WIDTH];
      wire logic [PLACE_W-1:0] first_place = places[2*k*PLACE_W+:PLACE_W];
      logic second_wins;
      logic [PLACE_W-1:0] place;
      assign next_places[k*(i+1)+:i+1] = (i + 1)'(place) | ((i + 1)'(second_wins) << i);

      if (2 * k + 1 < LEFT) begin : gen_pair
        wire logic [WIDTH-1:0] second = values[(2*k+1)*WIDTH+:WIDTH];
        assign second_wins = second > first;
        assign place = second_wins ? places[(2*k+1)*PLACE_W+:PLACE_W] : first_place;
        if (i + 1 < LEVELS) begin : gen_value
          assign gen_values.next_values[k*WIDTH+:WIDTH] = second_wins ? second : first;
        end
      end else begin : gen_odd
        assign second_wins = 1'b0;
        assign place = first_place;
        if (i + 1 < LEVELS) begin : gen_value
          assign gen_values.next_values[k*WIDTH+:WIDTH] = first;
        end
      end
    end
  end

  assign y = gen_level[LEVELS-1].next_places;
endmodule

`default_nettype wire
