// Cycle counters and error flags; they only watch. Every event is registered first, which delays all
// of them alike. A frame's start is kept while its words come, queued from good (its last word taken)
// to leave (taken from the network), and kept again until done (its last word sent).
//   cycles    since cycles_rst_n, 64 bits; rst_n leaves it running
//   latency   from the cycle in which the first word was taken to that in which the last one left
//   interval  between the cycles in which the last words of the latest two frames left; 0 before
//   frames_*  whole frames received, frames sent; saturate
//   stalls    cycles in which an offered word was not taken; saturates
// All are read from a copy that snapshot makes of them in one cycle. Latency and interval are modulo
// 2^32; before the first frame latency_min is all ones. A frame's latency, interval and count change
// in the same cycle. errors: a short frame, a long frame, and (overflow) more than IN_FLIGHT frames
// between good and leave or fewer than none, which a sound circuit never shows.
`default_nettype none

module cdg_counters #(
    parameter int IN_FLIGHT = 4
) (
    input  wire logic        clk,
    input  wire logic        rst_n,
    input  wire logic        cycles_rst_n,
    input  wire logic        first,
    input  wire logic        good,
    input  wire logic        leave,
    input  wire logic        done,
    input  wire logic        stall,
    input  wire logic        bad_short,
    input  wire logic        bad_long,
    input  wire logic        snapshot,
    input  wire logic [ 2:0] errors_clear,
    output logic      [ 2:0] errors,
    output logic      [63:0] cycles,
    output logic      [31:0] latency_last,
    output logic      [31:0] latency_min,
    output logic      [31:0] latency_max,
    output logic      [31:0] interval,
    output logic      [31:0] frames_in,
    output logic      [31:0] frames_out,
    output logic      [31:0] stalls
);
  if (IN_FLIGHT < 1) begin : gen_check
    $error("cdg_counters: IN_FLIGHT must be at least 1");
  end

  logic first_q, good_q, leave_q, done_q, stall_q, short_q, long_q;
  logic [63:0] cycles_q;
  logic [31:0] now;

  assign now = cycles_q[31:0];

  always_ff @(posedge clk) begin
    if (!rst_n) {first_q, good_q, leave_q, done_q, stall_q, short_q, long_q} <= '0;
    else begin
      first_q <= first;
      good_q  <= good;
      leave_q <= leave;
      done_q  <= done;
      stall_q <= stall;
      short_q <= bad_short;
      long_q  <= bad_long;
    end
  end

  always_ff @(posedge clk) begin
    if (!cycles_rst_n) cycles_q <= '0;
    else cycles_q <= cycles_q + 1'b1;
  end

  // Start times.
  logic [31:0] start_in_q, start_out_q, start_queued;
  logic queue_ready, queue_valid;

  always_ff @(posedge clk) begin
    if (first_q) start_in_q <= now;
    if (leave_q) start_out_q <= start_queued;
  end

  cdg_fifo #(
      .WIDTH(32),
      .DEPTH(IN_FLIGHT)
  ) starts (
      .clk    (clk),
      .rst_n  (rst_n),
      .s_valid(good_q),
      .s_ready(queue_ready),
      .s_data (first_q ? now : start_in_q),
      .m_valid(queue_valid),
      .m_ready(leave_q),
      .m_data (start_queued)
  );

  // A frame that left is measured in the first cycle and compared and counted in the second.
  logic measured_q, seen_q, pair_q;
  logic [31:0] latency_q, interval_q, since_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      measured_q <= 1'b0;
      seen_q     <= 1'b0;
      pair_q     <= 1'b0;
    end else begin
      measured_q <= done_q;
      if (done_q) begin
        seen_q <= 1'b1;
        pair_q <= seen_q;
      end
    end
  end

  always_ff @(posedge clk) begin
    since_q <= done_q ? 32'd1 : since_q + 1'b1;
    if (done_q) begin
      latency_q  <= now - start_out_q;
      interval_q <= since_q;
    end
  end

  logic [2:0] errors_q;
  logic [31:0] last_q, min_q, max_q, between_q, in_q, out_q, stalls_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      errors_q  <= '0;
      last_q    <= '0;
      min_q     <= '1;
      max_q     <= '0;
      between_q <= '0;
      in_q      <= '0;
      out_q     <= '0;
      stalls_q  <= '0;
    end else begin
      errors_q <= (errors_q & ~errors_clear)
          | {(good_q && !queue_ready) || (leave_q && !queue_valid), long_q, short_q};
      if (measured_q) begin
        last_q <= latency_q;
        if (latency_q < min_q) min_q <= latency_q;
        if (latency_q > max_q) max_q <= latency_q;
        if (pair_q) between_q <= interval_q;
        if (out_q != '1) out_q <= out_q + 1'b1;
      end
      if (good_q && in_q != '1) in_q <= in_q + 1'b1;
      if (stall_q && stalls_q != '1) stalls_q <= stalls_q + 1'b1;
    end
  end

  assign errors = errors_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      cycles       <= '0;
      latency_last <= '0;
      latency_min  <= '1;
      latency_max  <= '0;
      interval     <= '0;
      frames_in    <= '0;
      frames_out   <= '0;
      stalls       <= '0;
    end else if (snapshot) begin
      cycles       <= cycles_q;
      latency_last <= last_q;
      latency_min  <= min_q;
      latency_max  <= max_q;
      interval     <= between_q;
      frames_in    <= in_q;
      frames_out   <= out_q;
      stalls       <= stalls_q;
    end
  end
endmodule

`default_nettype wire
