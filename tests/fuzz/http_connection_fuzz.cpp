#include "transport/http/connection_machine.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

namespace {

using namespace ron;
using machine = http::connection_machine;

void expect(bool ok) {
  if (!ok)
    std::abort();
}

constexpr core::instant now{std::chrono::seconds{1'000}};

/// A server that reads every body and answers everything; writes down what it was asked.
class server {
public:
  /// Feeds `data` in steps of `step` bytes, when the machine wants to read.
  std::string run(std::string_view data, std::size_t step) {
    while (!m_.closed()) {
      perform();
      if (!m_.wants_read() || data.empty())
        break;
      auto piece = data.substr(0, step);
      data.remove_prefix(piece.size());
      m_.received(core::bytes::copy(piece), now);
    }
    perform();
    return std::move(log_);
  }

private:
  void perform() {
    while (auto a = m_.next())
      std::visit([this](auto& x) { on(x); }, *a);
  }
  void on(machine::serve& s) {
    log_ += "serve " + std::string{s.head.target} + '\n';
    m_.ask_body(now);
  }
  void on(machine::refuse& r) {
    log_ += "refuse " + std::string{to_string(r.why.code)} + '\n';
    answer();
  }
  void on(machine::body& b) {
    expect(b.data.size() <= machine::piece_max);
    body_ += b.data.text();
    if (!b.last)
      return m_.ask_body(now);
    log_ += std::exchange(body_, {}) + '\n';
    answer();
  }
  void on(machine::body_failed& f) {
    body_.clear();
    log_ += "failed " + std::string{to_string(f.why.code)} + '\n';
    answer();
  }
  void on(machine::close&) {
    expect(m_.closed());
  }
  template <class Other>
  void on(Other&) {
    // nop
  }
  void answer() {
    m_.answer_started(now);
    m_.answer_finished(now);
    m_.written(0, ++sent_, now);
  }

  machine m_{http::connection_limits{}, now};
  std::uint64_t sent_ = 0;
  std::string body_; ///< of a body that fails, how much came before depends on the cuts
  std::string log_;
};

} // namespace

/// Any bytes on a connection: no crash, and how they were cut on the way changes nothing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data),
                              std::min<std::size_t>(size, 50'000)};
  const auto whole = server{}.run(text, 131'072);
  expect(server{}.run(text, 1) == whole);
  expect(server{}.run(text, 1 + size % 1'000) == whole);
  return 0;
}
