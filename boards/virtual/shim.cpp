// A Verilated accelerator as a C library: one clock, AXI4-Lite registers, and both streams of a DMA.
// Every call that takes time moves everything: the streams go on while a register is read.
// A packet that is sent is offered without gaps and ends with TLAST; the receiver takes a word whenever there is one.
#include <cstdint>
#include <cstring>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

namespace {

constexpr int RESET_CYCLES = 16;   // as long as a processor system reset holds it at the least
constexpr int ANSWER_CYCLES = 1000;  // after which a bus counts as dead

struct Core {
  VerilatedContext context;
  Vdut dut{&context};
  uint64_t cycles = 0, last_beat = 0;
  std::vector<uint8_t> out, in;
  size_t out_at = 0, room = 0;
  bool sending = false, receiving = false, ended = false, overflow = false;
};

using Word = std::remove_reference_t<decltype(Vdut::s_axis_tdata)>;
constexpr size_t WORD = sizeof(Word);
static_assert(WORD == 4 || WORD == 8, "words of the streams have 32 or 64 bits");

// Puts what is offered on the pins and lets it settle.
void settle(Core& c) {
  Vdut& d = c.dut;
  d.s_axis_tvalid = c.sending;
  if (c.sending) {
    const size_t left = c.out.size() - c.out_at, octets = left < WORD ? left : WORD;
    Word word = 0;
    memcpy(&word, &c.out[c.out_at], octets);  // this machine is little-endian, as the streams are
    d.s_axis_tdata = word;
    d.s_axis_tkeep = (1u << octets) - 1;
    d.s_axis_tlast = left <= WORD;
  }
  d.m_axis_tready = c.receiving && !c.ended && !c.overflow && c.in.size() < c.room;
  d.eval();
}

// What shakes hands moves, then the clock does.
void edge(Core& c) {
  Vdut& d = c.dut;
  if (d.s_axis_tvalid && d.s_axis_tready) {
    c.last_beat = c.cycles;
    c.out_at += WORD;
    c.sending = c.out_at < c.out.size();
  }
  if (d.m_axis_tvalid && d.m_axis_tready) {
    c.last_beat = c.cycles;
    const Word word = d.m_axis_tdata;
    const auto* octets = reinterpret_cast<const uint8_t*>(&word);
    for (size_t i = 0; i < WORD; i++) {
      if (!(d.m_axis_tkeep >> i & 1)) continue;
      if (c.in.size() == c.room) c.overflow = true;
      else c.in.push_back(octets[i]);
    }
    c.ended = d.m_axis_tlast && !c.overflow;
  } else if (d.m_axis_tvalid && c.receiving && !c.ended && c.in.size() == c.room) {
    c.overflow = true;
  }
  d.aclk = 1;
  d.eval();
  d.aclk = 0;
  d.eval();
  c.cycles++;
}

void tick(Core& c) {
  settle(c);
  edge(c);
}

// Ticks until `done` holds before an edge, that edge included; false where it never does.
template <class Done>
bool until(Core& c, Done done) {
  for (int i = 0; i < ANSWER_CYCLES; i++) {
    settle(c);
    const bool found = done();
    edge(c);
    if (found) return true;
  }
  return false;
}

}  // namespace

extern "C" {

void* core_new() {
  auto* c = new Core;
  Vdut& d = c->dut;
  d.aclk = d.aresetn = 0;
  d.s_axi_awvalid = d.s_axi_wvalid = d.s_axi_arvalid = d.s_axi_bready = d.s_axi_rready = 0;
  for (int i = 0; i < RESET_CYCLES; i++) tick(*c);
  d.aresetn = 1;
  tick(*c);
  return c;
}

void core_delete(void* core) { delete static_cast<Core*>(core); }

uint64_t core_cycles(void* core) { return static_cast<Core*>(core)->cycles; }

uint32_t core_word_bytes() { return WORD; }

// The response: 0 OKAY, 2 SLVERR, -1 none at all.
int core_read(void* core, uint32_t address, uint32_t* value) {
  Core& c = *static_cast<Core*>(core);
  Vdut& d = c.dut;
  d.s_axi_araddr = address;
  d.s_axi_arvalid = 1;
  const bool taken = until(c, [&] { return d.s_axi_arready; });
  d.s_axi_arvalid = 0;
  if (!taken) return -1;
  int response = -1;
  d.s_axi_rready = 1;
  until(c, [&] {
    if (!d.s_axi_rvalid) return false;
    *value = d.s_axi_rdata;
    response = d.s_axi_rresp;
    return true;
  });
  d.s_axi_rready = 0;
  return response;
}

int core_write(void* core, uint32_t address, uint32_t value) {
  Core& c = *static_cast<Core*>(core);
  Vdut& d = c.dut;
  d.s_axi_awaddr = address;
  d.s_axi_wdata = value;
  d.s_axi_wstrb = 0xf;
  bool address_taken = false, data_taken = false;
  for (int i = 0; i < ANSWER_CYCLES && !(address_taken && data_taken); i++) {
    d.s_axi_awvalid = !address_taken;
    d.s_axi_wvalid = !data_taken;
    settle(c);
    address_taken |= d.s_axi_awready;
    data_taken |= d.s_axi_wready;
    edge(c);
  }
  d.s_axi_awvalid = d.s_axi_wvalid = 0;
  if (!address_taken || !data_taken) return -1;
  int response = -1;
  d.s_axi_bready = 1;
  until(c, [&] {
    if (!d.s_axi_bvalid) return false;
    response = d.s_axi_bresp;
    return true;
  });
  d.s_axi_bready = 0;
  return response;
}

// Begin to send a packet, and to receive one of at most `room` bytes.
void core_send(void* core, const uint8_t* octets, size_t size) {
  Core& c = *static_cast<Core*>(core);
  c.out.assign(octets, octets + size);
  c.out_at = 0;
  c.sending = size > 0;
}

void core_receive(void* core, size_t room) {
  Core& c = *static_cast<Core*>(core);
  c.in.clear();
  c.room = room;
  c.receiving = true;
  c.ended = c.overflow = false;
}

// Drop what is on its way in either direction; the accelerator keeps what it has.
void core_stop(void* core) {
  Core& c = *static_cast<Core*>(core);
  c.sending = c.receiving = c.ended = c.overflow = false;
}

// Let time pass until what was begun has ended, or for `quiet` cycles in which no word moves.
void core_run(void* core, uint64_t quiet) {
  Core& c = *static_cast<Core*>(core);
  const uint64_t began = c.cycles;
  while (c.sending || (c.receiving && !c.ended && !c.overflow)) {
    const uint64_t since = c.last_beat > began ? c.last_beat : began;
    if (c.cycles - since >= quiet) break;
    tick(c);
  }
}

int core_sending(void* core) { return static_cast<Core*>(core)->sending; }

// 0 still receiving, 1 ended by TLAST, 2 more came than there was room for.
int core_received(void* core) {
  const Core& c = *static_cast<Core*>(core);
  return c.overflow ? 2 : c.ended ? 1 : 0;
}

size_t core_take(void* core, uint8_t* octets) {
  Core& c = *static_cast<Core*>(core);
  memcpy(octets, c.in.data(), c.in.size());
  c.receiving = false;
  return c.in.size();
}
}
