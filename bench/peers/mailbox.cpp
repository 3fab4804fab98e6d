// Durable mail over the network: our node against redis streams with appendfsync always, the same
// connections, requests in flight, payload and disk, in turns. One JSON line per case on stdout,
// progress on stderr. Started by the script bench/peers/mailbox, which starts both servers.
#include "core/base64.hpp"
#include "peers/mailbox_sides.hpp"
#include "peers/pairs.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <sstream>
#include <thread>

namespace {

using namespace ron::bench;
using lines = std::shared_ptr<std::vector<mail_line_ptr>>;

std::string from_environment(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

/// From the environment, where only its owner sees it.
std::string token() {
  const auto raw = ron::core::base64url_decode(from_environment("OURS_TEXT"));
  return raw ? std::string{raw->text()} : std::string{};
}

/// Processor seconds of a server so far (proc(5): utime and stime).
double cpu_of(const std::string& pid) {
  std::ifstream file{"/proc/" + pid + "/stat"};
  std::string all{std::istreambuf_iterator<char>{file}, {}};
  std::istringstream rest{all.substr(all.rfind(')') + 1)};
  std::string skipped;
  for (int i = 0; i < 11; ++i)
    rest >> skipped;
  double user = 0, system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// What a case does.
enum class work { send, send_batch, cycle };

std::uint64_t run(mail_line& l, work what, const std::function<bool()>& over) {
  switch (what) {
    case work::send: return l.send_until(over);
    case work::send_batch: return l.send_batches_until(over);
    case work::cycle: break;
  }
  return l.cycle_until(over);
}

/// A turn: every line in a thread of its own until the time is over.
sample turn(const lines& all, const std::string& pid, double seconds, work what) {
  std::atomic<std::uint64_t> done{0};
  const auto cpu = cpu_of(pid);
  const auto began = std::chrono::steady_clock::now();
  const auto end = began + std::chrono::duration<double>{seconds};
  const auto over = [end] { return std::chrono::steady_clock::now() >= end; };
  std::vector<std::jthread> threads;
  for (auto& l : *all)
    threads.emplace_back([&] {
      try {
        done += run(*l, what, over);
      } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        std::_Exit(1);
      }
    });
  threads.clear();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const sample result{static_cast<double>(done.load()), took.count(), cpu_of(pid) - cpu};
  for (auto& l : *all)
    l->clear();
  return result;
}

struct peer {
  std::string name;
  redis_target at;
  std::string pid;
};

std::vector<pair_case> cases(double seconds) {
  const ours_target ours{static_cast<std::uint16_t>(std::stoi(from_environment("OURS_PORT"))),
                         from_environment("OURS_PIN"), token()};
  const auto redis_port = [](const char* name) {
    return static_cast<std::uint16_t>(std::stoi(from_environment(name)));
  };
  const std::vector<peer> peers{
    {"redis-tls", {redis_port("REDIS_TLS_PORT"), from_environment("REDIS_PIN")},
     from_environment("REDIS_PID")},
    {"redis-plain", {redis_port("REDIS_PORT"), {}}, from_environment("REDIS_PID")}};
  const auto node = from_environment("OURS_PID");
  const std::vector<std::string> names{"send", "send-batch", "send-receive-ack"};
  const std::vector<std::string> peers_words{" XADD", " XADD, pipelined in one write",
                                             " XADD, XREADGROUP, XACK"};
  const std::vector<std::string> notes{
    "", "; a batch is one request, ours, and as many XADD in one write, redis's: each side's own "
        "way to send many; the next follows when all are acknowledged", ""};
  struct shape {
    std::size_t connections;
    std::size_t in_flight;
  };
  std::vector<pair_case> out;
  for (const auto what : {work::send, work::send_batch, work::cycle})
    for (const auto& p : peers)
      for (const auto [connections, in_flight] : {shape{8, 32}, shape{32, 8}, shape{1, 1}}) {
        if (what != work::send && in_flight == 1)
          continue;
        const bool cycle = what == work::cycle;
        const mail_load load{256, in_flight};
        auto mine = std::make_shared<std::vector<mail_line_ptr>>();
        auto theirs = std::make_shared<std::vector<mail_line_ptr>>();
        pair_case c;
        c.name = names.at(static_cast<std::size_t>(what)) + "-"
                 + std::to_string(connections) + "x" + std::to_string(in_flight) + "-" + p.name;
        c.peer = p.name + peers_words.at(static_cast<std::size_t>(what)) + ", appendfsync always";
        c.unit = "messages/s";
        c.goal = cycle ? ">= 1x" : ">= 2x";
        c.figure = per_second;
        c.cpu = cpu_nanoseconds;
        c.met = [cycle](double, double ratio) { return ratio >= (cycle ? 1 : 2); };
        c.more = [=] { // after the last turn: the next case has the servers for itself
          mine->clear();
          theirs->clear();
          return std::string{",\"note\":\"ours pays for TLS 1.3, redis "}
                 + (p.at.pin.empty() ? "does not" : "does too")
                 + notes.at(static_cast<std::size_t>(what))
                 + "; 256 bytes a message; cpu is of the server, ns a message\"";
        };
        auto open = [=] { // when its first turn begins: cases that are left out open nothing
          for (std::size_t i = mine->size(); i < connections; ++i) {
            const auto name = c.name + "-" + std::to_string(i);
            mine->push_back(connect_ours(ours, load, name));
            theirs->push_back(connect_redis(p.at, load, name));
          }
        };
        c.ours = [=] {
          open();
          return turn(mine, node, seconds, what);
        };
        c.theirs = [=] { return turn(theirs, p.pid, seconds, what); };
        out.push_back(std::move(c));
      }
  return out;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return pairs_main(argc, argv, "mailbox", cases);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mailbox_peer: %s; start it by ./dev bench peer mailbox\n", e.what());
    return 1;
  }
}
