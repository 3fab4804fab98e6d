#include "core/log.hpp"

#include "core/json.hpp"
#include "core/log_format.hpp"
#include "core/log_sink.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ron::core::log {
namespace {

using namespace std::chrono_literals;

/// A pipe or a pair of sockets, read without waiting.
class Channel {
public:
  explicit Channel(bool socket = false) {
    int r = socket ? ::socketpair(AF_UNIX, SOCK_STREAM, 0, fds_.data()) : ::pipe(fds_.data());
    EXPECT_EQ(r, 0);
    ::fcntl(fds_[0], F_SETFL, O_NONBLOCK);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    close_reader();
    ::close(fds_[1]);
  }
  int writer() const { return fds_[1]; }
  void close_reader() {
    if (fds_[0] >= 0)
      ::close(fds_[0]);
    fds_[0] = -1;
  }
  std::string read_all() {
    std::string out;
    std::array<char, 65536> buf;
    for (ssize_t n; (n = ::read(fds_[0], buf.data(), buf.size())) > 0;)
      out.append(buf.data(), static_cast<std::size_t>(n));
    return out;
  }
  std::vector<std::string> lines() {
    std::vector<std::string> out;
    std::istringstream in{read_all()};
    for (std::string line; std::getline(in, line);)
      out.push_back(line);
    return out;
  }

private:
  std::array<int, 2> fds_{-1, -1};
};

class Log : public testing::Test {
protected:
  Log() {
    ::signal(SIGPIPE, SIG_IGN);
    options_.fd = channel_.writer();
    options_.format = format::json;
    options_.time = &time_;
    configure(options_);
    start_ = stats();
  }
  ~Log() override { configure({}); }

  std::vector<json> entries() {
    std::vector<json> out;
    for (const auto& line : channel_.lines()) {
      auto v = parse_json(line);
      EXPECT_TRUE(v) << line;
      out.push_back(v.value_or(json{}));
    }
    return out;
  }

  manual_clock time_{1'769'860'800'123}; // 2026-01-31T12:00:00.123Z
  Channel channel_;
  options options_;
  counters start_;
};

TEST_F(Log, WritesOneJsonObjectALine) {
  info("transport", "tls handshake failed",
       {{"peer", "127.0.0.1:9"}, {"code", -3}, {"n", 7u}, {"ratio", 0.5}, {"ok", false},
        {"took_ms", 12ms}, {"why", std::string{"no"}}});
  auto e = entries();
  ASSERT_EQ(e.size(), 1u);
  EXPECT_EQ(e[0], (json{{"ts", "2026-01-31T12:00:00.123Z"}, {"level", "info"},
                        {"component", "transport"}, {"msg", "tls handshake failed"},
                        {"peer", "127.0.0.1:9"}, {"code", -3}, {"n", 7}, {"ratio", 0.5},
                        {"ok", false}, {"took_ms", 12}, {"why", "no"}}));
}

TEST_F(Log, LevelsArePerComponent) {
  options_.least = level::warn;
  options_.levels = {{"oap", level::debug}, {"dht", level::off}};
  configure(options_);
  info("core", "hidden");
  warn("core", "shown");
  debug("oap", "shown");
  trace("oap", "hidden");
  error("dht", "hidden");
  EXPECT_TRUE(enabled("oap", level::debug));
  EXPECT_FALSE(enabled("core", level::info));
  EXPECT_EQ(level_of("dht"), level::off);
  for (const auto& e : entries())
    EXPECT_EQ(e["msg"], "shown");
  EXPECT_EQ(stats().lines - start_.lines, 2u);
}

TEST_F(Log, ALevelCanBeChangedOnTheFly) {
  EXPECT_TRUE(set_level("mailbox", level::trace));
  EXPECT_FALSE(set_level("nobody", level::trace));
  trace("mailbox", "seen");
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(Log, ThrottlesOnePlaceInTheCodeAndReportsIt) {
  options_.rate = 10;
  options_.burst = 5;
  configure(options_);
  auto noisy = [] { warn("http", "again"); };
  for (int i = 0; i < 100; ++i)
    noisy();
  warn("http", "another place is not affected");
  EXPECT_EQ(entries().size(), 6u);
  EXPECT_EQ(stats().suppressed - start_.suppressed, 95u);
  time_.advance(100ms);
  noisy();
  noisy();
  auto e = entries();
  ASSERT_EQ(e.size(), 1u);
  EXPECT_EQ(e[0]["suppressed"], 95);
  report_suppressed();
  report_suppressed();
  e = entries();
  ASSERT_EQ(e.size(), 1u);
  EXPECT_EQ(e[0]["suppressed"], 1);
  EXPECT_NE(e[0]["place"].get<std::string>().find("log_test.cpp:"), std::string::npos);
  time_.advance(1h);
  for (int i = 0; i < 10; ++i)
    noisy();
  EXPECT_EQ(entries().size(), 5u);
}

TEST_F(Log, RateZeroIsNoLimit) {
  options_.rate = 0;
  configure(options_);
  for (int i = 0; i < 200; ++i)
    info("core", "line");
  EXPECT_EQ(entries().size(), 200u);
}

TEST_F(Log, ManyThreadsWriteWholeLines) {
  options_.rate = 0;
  configure(options_);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 50; ++i)
        info("actor", "line", {{"thread", t}, {"i", i}, {"fill", std::string(100, 'x')}});
    });
  for (auto& t : threads)
    t.join();
  std::array<int, 4> next{};
  for (const auto& e : entries())
    EXPECT_EQ(e["i"], next[e["thread"].get<std::size_t>()]++);
  for (auto n : next)
    EXPECT_EQ(n, 50);
}

TEST_F(Log, AReaderThatStoppedCostsLinesNotTime) {
  options_.rate = 0;
  configure(options_);
  std::string fill(900, 'x');
  for (int i = 0; i < 1'000; ++i)
    info("core", "line", {{"i", i}, {"fill", fill}});
  auto s = stats();
  EXPECT_GT(s.dropped - start_.dropped, 0u);
  EXPECT_EQ(s.lines - start_.lines + s.dropped - start_.dropped, 1'000u);
  entries(); // whole lines only, but maybe the last
  info("core", "after");
  auto e = entries();
  ASSERT_FALSE(e.empty());
  EXPECT_EQ(e.back()["msg"], "after");
}

TEST_F(Log, AReaderThatWentAwayIsSurvived) {
  channel_.close_reader();
  info("core", "nobody hears this");
  EXPECT_EQ(stats().dropped - start_.dropped, 1u);
}

// -- format --------------------------------------------------------------------------------------

record sample(std::span<const field> values) {
  return {.wall_ms = 1'769'860'800'123,
          .severity = level::error,
          .component = "oap",
          .message = "what",
          .values = values};
}

TEST(LogFormat, EveryLineIsValidJson) {
  const field values[] = {{"a\"b", "\xff\x1b[31m\n"}, {"inf", HUGE_VAL}, {"min", INT64_MIN},
                          {"max", UINT64_MAX}, {"", ""}};
  auto line = format_json(sample(values));
  ASSERT_TRUE(line.ends_with("}\n"));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  auto v = parse_json(line);
  ASSERT_TRUE(v) << line;
  EXPECT_EQ((*v)["a\"b"], "\xef\xbf\xbd\x1b[31m\n");
  EXPECT_EQ((*v)["inf"], nullptr);
  EXPECT_EQ((*v)["min"], INT64_MIN);
  EXPECT_EQ((*v)["max"], UINT64_MAX);
}

TEST(LogFormat, StaysBelowItsLimit) {
  std::string worst(5'000, '\x01'); // six bytes each in JSON
  std::vector<field> values;
  for (int i = 0; i < 50; ++i)
    values.push_back({"k", worst});
  auto r = sample(values);
  r.message = worst;
  r.suppressed = UINT32_MAX;
  for (const auto& line : {format_json(r), format_text(r)}) {
    EXPECT_LE(line.size(), line_bytes_max);
    EXPECT_NE(line.find("truncated"), std::string::npos);
    EXPECT_NE(line.find("4294967295"), std::string::npos);
  }
  EXPECT_TRUE(parse_json(format_json(r)));
}

TEST(LogFormat, TextIsForPeople) {
  const field values[] = {{"peer", "[::1]:80"}, {"why", "two words"}, {"n", 3}, {"ok", true},
                          {"none", ""}};
  EXPECT_EQ(format_text(sample(values)),
            "12:00:00.123 ERROR oap       what peer=[::1]:80 why=\"two words\" n=3 ok=true "
            "none=\"\"\n");
}

TEST(LogFormat, TextLeavesNothingThatATerminalObeys) {
  const field values[] = {{"k\x1b", "\x1b[2J\x07\xc2\x9b"}};
  auto r = sample(values);
  r.message = "\x1b]0;x\x07\r\n";
  auto line = format_text(r);
  for (char c : line.substr(0, line.size() - 1))
    EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  EXPECT_EQ(line.find("\xc2\x9b"), std::string::npos);
}

TEST(LogFormat, KnowsOldDates) {
  record r{.wall_ms = -1, .component = "core", .message = "m", .values = {}};
  EXPECT_NE(format_json(r).find("1969-12-31T23:59:59.999Z"), std::string::npos);
}

// -- sink ----------------------------------------------------------------------------------------

TEST(LogSink, LeavesTheFlagsOfTheDescriptorAlone) {
  for (bool socket : {false, true}) {
    Channel c{socket};
    auto before = ::fcntl(c.writer(), F_GETFL);
    line_sink sink{c.writer()};
    EXPECT_TRUE(sink.write("line\n"));
    EXPECT_EQ(::fcntl(c.writer(), F_GETFL), before);
    EXPECT_EQ(before & O_NONBLOCK, 0);
    EXPECT_EQ(c.read_all(), "line\n");
    EXPECT_FALSE(sink.terminal());
  }
}

TEST(LogSink, NeverWaitsForAReaderAndNeverTearsALine) {
  ::signal(SIGPIPE, SIG_IGN);
  for (bool socket : {false, true}) {
    Channel c{socket};
    line_sink sink{c.writer()};
    std::string all;
    std::uint64_t taken = 0;
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 1'000; ++i) {
        auto line = std::to_string(i) + ' ' + std::string(7'001, 'a') + ".\n";
        taken += sink.write(line) ? 1 : 0;
      }
      all += c.read_all();
    }
    EXPECT_GT(sink.dropped(), 0u);
    while (!sink.write("end\n"))
      all += c.read_all();
    all += c.read_all();
    std::istringstream in{all};
    std::uint64_t whole = 0;
    std::string line;
    while (std::getline(in, line) && line != "end") {
      ASSERT_TRUE(line.ends_with("a.")) << line.size();
      ASSERT_LT(line.size(), 7'010u);
      ++whole;
    }
    EXPECT_EQ(line, "end");
    EXPECT_EQ(whole, taken);
  }
}

TEST(LogSink, AppendsToAFileThatOthersWriteToo) {
  std::string name = testing::TempDir() + "ron-log-XXXXXX";
  int fd = ::mkstemp(name.data());
  ASSERT_GE(fd, 0);
  {
    line_sink sink{fd};
    EXPECT_TRUE(sink.write("one\n"));
    EXPECT_EQ(::write(fd, "two\n", 4), 4);
    EXPECT_TRUE(sink.write("three\n"));
  }
  std::stringstream text;
  text << std::ifstream{name}.rdbuf();
  EXPECT_EQ(text.str(), "one\ntwo\nthree\n");
  ::close(fd);
  ::unlink(name.c_str());
}

TEST(LogSink, AClosedDescriptorLosesLinesOnly) {
  line_sink sink{1'000'000};
  EXPECT_FALSE(sink.write("line\n"));
  EXPECT_EQ(sink.dropped(), 1u);
}

} // namespace
} // namespace ron::core::log
