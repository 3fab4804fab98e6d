// One request over QUIC the way a client of the SDK would not send it: in early data although it is
// not safe to repeat, or never to be heard of again. For tests.

#include "core/base64.hpp"
#include "core/json.hpp"
#include "load/flags.hpp"
#include "oap/session.hpp"
#include "transport/quic/client.hpp"

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace ron;
namespace quic = transport::quic;
using core::instant;

constexpr std::string_view usage =
  "usage: quic_probe --target HOST:PORT --pin SHA256 --operation NAME [--args JSON]\n"
  "         [--payload TEXT] [--cap FILE] [--body 0] [--early 0|1] [--vanish 0|1]\n"
  "         [--key-bytes 0] [--rate 0] [--timeout-ms 10000]\n"
  "Asks for one operation with --args and --payload, and --body bytes behind it. --early 1: a\n"
  "first connection fetches a ticket, and the request goes in the early data of a second one,\n"
  "whatever it is. --vanish 1: says so much and reads nothing more, as somebody would who has\n"
  "only recorded it. --rate: takes so many bytes of the answer a second. One JSON line on\n"
  "stdout.\n"
  "  quic_probe --target 127.0.0.1:9443 --pin $PIN --operation ping --early 1\n";

instant now() {
  return std::chrono::steady_clock::now();
}

std::string_view to_string(quic::early_fate f) {
  return f == quic::early_fate::accepted   ? "accepted"
         : f == quic::early_fate::rejected ? "rejected"
                                           : "none";
}

class probe {
public:
  explicit probe(const load::flags& f)
      : flags_(f), end_(began_ + std::chrono::milliseconds{f.number("timeout-ms", 1, 600'000)}),
        rate_(f.number("rate", 0, 1u << 30)), tls_(context()) {
    // nop
  }

  int execute() {
    quic::resumption kept;
    if (flags_.number("early", 0, 1) == 1 && !fetch_ticket(kept))
      return 1;
    if (!dial(kept))
      return 1;
    if (flags_.number("early", 0, 1) == 1 && client_->link().early())
      client_->lanes().run_early(std::make_shared<const std::vector<std::string>>(
        std::vector<std::string>{flags_.text("operation")}));
    const bool offered = client_->link().early();
    ask();
    const bool vanish = flags_.number("vanish", 0, 1) == 1;
    while (!vanish && !over_ && client_->is_open()) {
      if (!client_->turn(rate_ == 0 ? end_ : std::min(end_, now() + patience)) && now() >= end_)
        break;
      take();
    }
    report(offered);
    if (vanish)
      std::_Exit(0); // no CONNECTION_CLOSE
    return ok_ ? 0 : 1;
  }

private:
  core::crypto::tls_context context() const {
    core::crypto::tls_client_options o;
    o.pin = flags_.text("pin");
    o.alpn = {"oap/1"};
    auto made = core::crypto::tls_context::make_client(o);
    if (!made)
      flags_.refuse(made.error().message);
    return *made;
  }

  static oap::session_settings settings() {
    oap::session_settings s;
    s.independent_streams = true;
    s.ack_window = 32;
    return s;
  }

  bool dial(const quic::resumption& from) {
    const auto [host, port] = flags_.address("target");
    quic::connection_settings how;
    how.early_data = flags_.number("early", 0, 1) == 1;
    how.key_bytes = flags_.number("key-bytes", 0, 1ull << 40);
    if (rate_ != 0)
      how.window = how.window_max = how.stream_window = how.stream_window_max = slow_window;
    auto made = quic::client::dial(how, tls_, host, port, core::limits::oap_frame_bytes_default,
                                   end_, from);
    if (!made) {
      std::fprintf(stderr, "%s\n", made.error().message.c_str());
      return false;
    }
    client_ = std::move(*made);
    session_ = std::make_unique<oap::session>(oap::role::dialer, settings());
    return true;
  }

  bool fetch_ticket(quic::resumption& kept) {
    if (!dial({}))
      return false;
    while (!kept.ticket) {
      if (!client_->turn(end_)) {
        std::fprintf(stderr, "no ticket came\n");
        return false;
      }
      if (auto got = client_->link().take_resumption(); got.ticket)
        kept = std::move(got);
    }
    return true;
  }

  void ask() {
    auto args = core::parse_json(flags_.text("args"));
    if (!args)
      flags_.refuse("--args: " + args.error().message);
    if (const auto& text = flags_.text("payload"); !text.empty())
      (*args)["payload"] = core::json::binary({text.begin(), text.end()});
    const auto map = core::dump_cbor(*args);
    std::string text;
    if (!flags_.text("cap").empty())
      std::ifstream{flags_.text("cap")} >> text;
    const auto cap = core::base64url_decode(text); // of nothing: nothing
    if (!cap)
      flags_.refuse("--cap: no capability in " + flags_.text("cap"));
    const auto body = flags_.number("body", 0, 1'024);
    oap::open_request r;
    r.name = flags_.text("operation");
    r.args = map.view();
    r.cap = cap->view();
    r.end = body == 0;
    const auto corr = session_->open(r);
    if (!corr)
      flags_.refuse(corr.error().message);
    corr_ = *corr;
    if (body != 0) {
      session_->send(corr_, core::bytes::copy(std::string(body, 'x')));
      session_->end(corr_);
    }
    flush();
  }

  void flush() {
    std::vector<core::bytes> out;
    while (session_->take(out))
      client_->lanes().write(out);
    client_->flush();
  }

  void take() {
    while (client_->lanes().ready() && may_take()) {
      auto slice = client_->lanes().take();
      taken_ += slice.size();
      session_->on_bytes(std::move(slice), now());
    }
    oap::events some;
    while (session_->take_events(some))
      for (auto& e : some) {
        if (auto* d = std::get_if<oap::data>(&e)) {
          bytes_ += d->bytes.size();
          session_->consumed(d->corr);
        } else if (auto* done = std::get_if<oap::ended>(&e); done && done->corr == corr_) {
          ok_ = over_ = true;
        } else if (auto* bad = std::get_if<oap::stream_error>(&e); bad && bad->corr == corr_) {
          over_ = true;
          reason_ = oap::to_string(bad->why);
        }
      }
    flush();
  }

  bool may_take() const {
    const std::chrono::duration<double> passed = now() - began_;
    return rate_ == 0 || static_cast<double>(taken_) <= passed.count() * static_cast<double>(rate_);
  }

  void report(bool offered) const {
    auto& link = client_->link();
    std::puts(core::dump_json({{"ok", ok_},
                               {"reason", reason_},
                               {"bytes", bytes_},
                               {"open", client_->is_open()},
                               {"seconds", std::chrono::duration<double>(now() - began_).count()},
                               {"offered", offered},
                               {"resumed", link.tls().resumed},
                               {"early", to_string(link.early_data())},
                               {"key_updates", link.measure().key_updates},
                               {"sent", link.bytes_out()}})
                .c_str());
    std::fflush(stdout);
  }

  /// Of a slow reader: no more than a few frames wait where it does not look.
  static constexpr std::size_t slow_window = 256u << 10;
  static constexpr std::chrono::milliseconds patience{50};

  const load::flags& flags_;
  const instant began_ = now();
  const instant end_;
  const std::uint64_t rate_;
  core::crypto::tls_context tls_;
  std::unique_ptr<quic::client> client_;
  std::unique_ptr<oap::session> session_;
  oap::corr_t corr_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t taken_ = 0; ///< bytes of frames
  std::string reason_;
  bool ok_ = false;
  bool over_ = false;
};

} // namespace

int main(int argc, char** argv) {
  const load::flags f{argc,
                      argv,
                      {{"target", "127.0.0.1:9443"},
                       {"pin", ""},
                       {"cap", ""},
                       {"operation", "ping"},
                       {"args", "{}"},
                       {"payload", ""},
                       {"body", "0"},
                       {"early", "0"},
                       {"vanish", "0"},
                       {"rate", "0"},
                       {"key-bytes", "0"},
                       {"timeout-ms", "10000"}},
                      usage};
  return probe{f}.execute();
}
