// Takes a beat of each of COUNT senders at once, as soon as all offer one. Data goes around it. No
// register on the way; a sender's ready waits for the others' valid.
`default_nettype none

module cdg_join #(
    parameter int COUNT = 2
) (
    input  wire logic [COUNT-1:0] s_valid,
    output logic      [COUNT-1:0] s_ready,
    output logic                  m_valid,
    input  wire logic             m_ready
);
  if (COUNT < 2) begin : gen_check
    $error("cdg_join: COUNT must be at least 2");
  end

  assign m_valid = &s_valid;
  assign s_ready = {COUNT{m_valid && m_ready}};
endmodule

`default_nettype wire
