// Drives a streaming top level from a file of input vectors, writes its outputs and its cycles.
//   driver INPUT OUTPUT VECTORS MODE BEATS_IN BEATS_OUT GAP
// INPUT: VECTORS times BEATS_IN records of s_axis_tdata, 32-bit words, least significant first. OUTPUT: the same of
// m_axis_tdata. MODE single: one vector at a time, GAP cycles after reset and after the one before; flood: never a
// gap, never back-pressure; stall: both at random. Prints "latency MIN MAX interval MIN MAX": latency from the first
// beat of a vector to the last of its result, interval between results in the second half of the stream: where a late
// layer is slower than an early one by a little, inputs are taken at the early layer's pace until the queues between
// them are full. Before that a line "begun DONE" for every vector: these cycles, counted from reset. Ends with an error
// where a result goes or changes before it is taken, and where one comes without a vector.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <type_traits>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

template <class T>
constexpr size_t words() {
  if constexpr (std::is_integral_v<T>) return sizeof(T) == 8 ? 2 : 1;
  else return sizeof(T) / 4;
}

template <class T>
void load(T& port, const uint32_t* from) {
  if constexpr (std::is_integral_v<T>) {
    port = static_cast<T>(sizeof(T) == 8 ? from[0] | (uint64_t(from[1]) << 32) : from[0]);
  } else {
    for (size_t i = 0; i < words<T>(); i++) port[i] = from[i];
  }
}

template <class T>
void store(T& port, std::vector<uint32_t>& to) {
  if constexpr (std::is_integral_v<T>) {
    to.push_back(static_cast<uint32_t>(port));
    if (sizeof(T) == 8) to.push_back(static_cast<uint32_t>(uint64_t(port) >> 32));
  } else {
    for (size_t i = 0; i < words<T>(); i++) to.push_back(port[i]);
  }
}

int main(int argc, char** argv) {
  if (argc != 8) return 2;
  const size_t vectors = strtoul(argv[3], nullptr, 10);
  const std::string mode = argv[4];
  const bool single = mode == "single", stalls = mode == "stall";
  const size_t beats_in = strtoul(argv[5], nullptr, 10), beats_out = strtoul(argv[6], nullptr, 10);
  const uint64_t gap = single ? strtoul(argv[7], nullptr, 10) : 0;
  uint64_t random = 0x9e3779b97f4a7c15;
  auto chance = [&] {  // one in three, by xorshift
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random % 3 == 0;
  };

  VerilatedContext context;
  Vdut dut{&context};
  using In = std::remove_reference_t<decltype(dut.s_axis_tdata)>;
  const size_t in_words = words<In>();
  std::vector<uint32_t> in(vectors * beats_in * in_words), out;
  FILE* file = fopen(argv[1], "rb");
  if (!file || fread(in.data(), 4, in.size(), file) != in.size()) return 3;
  fclose(file);

  uint64_t cycle = 0, last_result = 0, last_change = 0;
  uint64_t latency_min = ~0ull, latency_max = 0, interval_min = ~0ull, interval_max = 0;
  std::deque<uint64_t> begun;
  size_t sent = 0, received = 0;  // beats
  bool offered = false;
  std::vector<uint32_t> waiting, now;  // the result that was offered and not taken, if any; what is offered now
  auto tick = [&] { dut.clk = 1; dut.eval(); dut.clk = 0; dut.eval(); cycle++; };

  dut.clk = 0; dut.rst_n = 0; dut.s_axis_tvalid = 0; dut.m_axis_tready = 0;
  dut.eval();
  for (int i = 0; i < 4; i++) tick();
  dut.rst_n = 1;
  cycle = 0;
  uint64_t rest = gap;  // first cycle in which a vector may begin

  while (received < vectors * beats_out) {
    // An offered beat stays offered until it is taken.
    const bool first = sent % beats_in == 0;
    const bool waits = single && first && (sent / beats_in != received / beats_out || cycle < rest);
    if (!offered && sent < vectors * beats_in && !waits && !(stalls && chance())) {
      load(dut.s_axis_tdata, &in[sent * in_words]);
      offered = true;
    }
    dut.s_axis_tvalid = offered;
    dut.m_axis_tready = !(stalls && chance());
    dut.eval();
    if (dut.s_axis_tvalid && dut.s_axis_tready) {
      last_change = cycle;
      if (first) begun.push_back(cycle);
      sent++;
      offered = false;
    }
    if (dut.m_axis_tvalid) store(dut.m_axis_tdata, now);
    if (!waiting.empty() && now != waiting) { printf("a result changed before it was taken\n"); return 7; }
    waiting.clear();
    if (!dut.m_axis_tready) waiting.swap(now);
    now.clear();
    if (dut.m_axis_tvalid && dut.m_axis_tready) {
      store(dut.m_axis_tdata, out);
      received++;
      last_change = cycle;
      if (received % beats_out == 0) {
        if (begun.empty()) { printf("a result without an input\n"); return 4; }
        const uint64_t latency = cycle - begun.front();
        printf("%llu %llu\n", (unsigned long long)begun.front(), (unsigned long long)cycle);
        begun.pop_front();
        if (latency < latency_min) latency_min = latency;
        if (latency > latency_max) latency_max = latency;
        if (received / beats_out > vectors / 2 + 1) {
          const uint64_t interval = cycle - last_result;
          if (interval < interval_min) interval_min = interval;
          if (interval > interval_max) interval_max = interval;
        }
        last_result = cycle;
        rest = cycle + 1 + gap;
      }
    }
    if (cycle - last_change > 1000000) { printf("stuck: %zu of %zu beats\n", received, vectors * beats_out); return 5; }
    tick();
  }
  dut.s_axis_tvalid = 0;
  dut.m_axis_tready = 1;
  size_t early = 0;  // beats of a next vector, those that follow from padding alone: never all of it
  for (int i = 0; i < 1000; i++) {
    dut.eval();
    early += dut.m_axis_tvalid;
    if (early >= beats_out) { printf("a result without an input\n"); return 4; }
    tick();
  }
  dut.final();
  file = fopen(argv[2], "wb");
  if (!file || fwrite(out.data(), 4, out.size(), file) != out.size() || fclose(file) != 0) return 6;
  printf("latency %llu %llu interval %llu %llu\n", (unsigned long long)latency_min, (unsigned long long)latency_max,
         (unsigned long long)interval_min, (unsigned long long)interval_max);
  return 0;
}
