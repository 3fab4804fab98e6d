#pragma once

#include "transport/http/connection_machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

namespace ron::test {

using machine = http::connection_machine;

inline constexpr core::instant t0{std::chrono::seconds{1'000}};

inline const std::string get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
inline const std::string chunked =
    "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

inline std::string put(std::size_t length, const std::string& more = {}) {
  return "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) + "\r\n" + more
         + "\r\n";
}

/// Drives a machine by script and writes down what it does in short words.
class MachineScript : public ::testing::Test {
public:
  explicit MachineScript(http::connection_limits l = {}) : limits(l), m(l, t0) {
  }

  void feed(std::string_view text) {
    m.received(core::bytes::copy(text), now);
    collect();
  }
  void feed_by(std::size_t step, std::string_view text) {
    for (; !text.empty(); text.remove_prefix(std::min(step, text.size())))
      feed(text.substr(0, step));
  }
  void at(core::instant t) {
    now = t;
    m.tick(now);
    collect();
  }
  void ask() {
    m.ask_body(now);
    collect();
  }
  /// Answers with everything taken by the kernel at once.
  void answer() {
    m.answer_started(now);
    m.answer_finished(now);
    flushed();
  }
  void flushed() {
    m.written(0, sent += 100, now);
    collect();
  }
  void end() {
    m.ended(now);
    collect();
  }
  void collect() {
    while (auto a = m.next())
      std::visit([this](auto& x) { note(x); }, *a);
  }
  void note(machine::serve& s) {
    log += "serve " + std::string{s.head.target} + ";";
  }
  void note(machine::refuse& r) {
    log += "refuse " + std::string{to_string(r.why.code)} + ";";
  }
  void note(machine::send_continue&) {
    log += "continue;";
  }
  void note(machine::body& b) {
    body += b.data.text();
    largest = std::max(largest, b.data.size());
    ++pieces;
    log += b.last ? "last;" : "piece;";
  }
  void note(machine::body_failed& f) {
    log += "failed " + std::string{to_string(f.why.code)} + ";";
  }
  void note(machine::expired& e) {
    log += "expired " + std::string{to_string(e.why.code)} + ";";
  }
  void note(machine::gone&) {
    log += "gone;";
  }
  void note(machine::shut&) {
    log += "shut;";
  }
  void note(machine::close&) {
    log += "close;";
  }
  std::string took() {
    return std::exchange(log, {});
  }

  http::connection_limits limits;
  machine m;
  core::instant now = t0;
  std::uint64_t sent = 0;
  std::string log;
  std::string body;
  std::size_t largest = 0;
  std::size_t pieces = 0;
};

} // namespace ron::test
