// Largest of COUNT pixels, channel by channel: CHANNELS elements of WIDTH bits each, pixel by pixel.
// Purely combinational: a tree of two by two.
`default_nettype none

module cdg_max #(
    parameter int COUNT = 4,
    parameter int CHANNELS = 1,
    parameter int WIDTH = 2,
    parameter bit IS_SIGNED = 1'b0
) (
    input  wire logic [COUNT*CHANNELS*WIDTH-1:0] x,
    output logic      [      CHANNELS*WIDTH-1:0] y
);
  localparam int LEVELS = $clog2(COUNT);

  if (COUNT < 1 || CHANNELS < 1 || WIDTH < 1) begin : gen_check
    $error("cdg_max: COUNT, CHANNELS and WIDTH must be at least 1");
  end

  for (genvar c = 0; c < CHANNELS; c++) begin : gen_channel
    // Level i has ceil(COUNT / 2^i) candidates.
    for (genvar i = 0; i <= LEVELS; i++) begin : gen_level
      localparam int LEFT = (COUNT + (1 << i) - 1) >> i;
      logic [LEFT*WIDTH-1:0] values;

      for (genvar k = 0; k < LEFT; k++) begin : gen_candidate
        if (i == 0) begin : gen_pixel
          // Order of two's complement numbers is that of plain ones once the sign bits are flipped.
          assign values[k*WIDTH+:WIDTH] =
              x[(k*CHANNELS+c)*WIDTH+:WIDTH] ^ (WIDTH'(IS_SIGNED) << (WIDTH - 1));
        end else begin : gen_larger
          localparam int BELOW = (COUNT + (1 << (i - 1)) - 1) >> (i - 1);
          logic [WIDTH-1:0] first;
          assign first = gen_level[i-1].values[2*k*WIDTH+:WIDTH];

          if (2 * k + 1 < BELOW) begin : gen_pair
            logic [WIDTH-1:0] second;
            assign second = gen_level[i-1].values[(2*k+1)*WIDTH+:WIDTH];
            assign values[k*WIDTH+:WIDTH] = first > second ? first : second;
          end else begin : gen_odd
            assign values[k*WIDTH+:WIDTH] = first;
          end
        end
      end
    end

    assign y[c*WIDTH+:WIDTH] =
        gen_level[LEVELS].values ^ (WIDTH'(IS_SIGNED) << (WIDTH - 1));
  end
endmodule

`default_nettype wire
