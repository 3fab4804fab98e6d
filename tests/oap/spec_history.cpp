// size: one history needs peer, owner and judge at hand in every step
#include "oap/spec_history.hpp"

#include "oap/session.hpp"
#include "oap/spec_session.hpp"
#include "oap/wire.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <utility>

namespace ron::oap::test {

namespace {

// -- the peer's HELLO: bodies whose meaning is known without a parser ---------------------

struct known_hello {
  std::string_view text;
  bool good;
  spec::hello_values says;
};
const std::array<known_hello, 11> hellos{{
    {"{}", true, {}},
    {R"({"features":["x1"],"ack_window":9})", true, {.ack_window = 9, .x1 = true}},
    {R"({"features":["x1","zstd","later"],"max_frame":1048576,"max_inflight":70,"ack_window":64})",
     true,
     {.max_frame = 1'048'576, .max_inflight = 70, .ack_window = 64, .x1 = true, .zstd = true}},
    {R"({"ua":null,"versions":[1,2],"max_streams":65,"pq":{"mode":0,"kex":1,"sig":1},"new":{}})",
     true,
     {.max_streams = 65, .pq = R"({"kex":1,"mode":0,"sig":1})"}},
    {R"({"pq":{"mode":2,"kex":1,"sig":3}})", true, {.pq = R"({"kex":1,"mode":2,"sig":3})"}},
    {R"({"features":["x1"],"pq":{"sig":"?","mode":99,"new":{"a":[1,null]}}})",
     true,
     {.x1 = true, .pq = R"({"mode":99,"new":{"a":[1,null]},"sig":"?"})"}},
    {R"({"pq":3})", false, {}},
    {R"({"max_frame":66559})", false, {}},
    {R"({"versions":[2]})", false, {}},
    {R"({"ua":"a","ua":"a"})", false, {}},
    {"[]", false, {}},
}};

std::optional<spec::hello_values> meaning_of(const spec::octets& body) {
  for (const auto& h : hellos)
    if (std::ranges::equal(h.text, body, [](char a, std::uint8_t b) { return a == char(b); }))
      return h.good ? std::optional{h.says} : std::nullopt;
  return std::nullopt;
}

std::uint64_t sum(core::byte_view v) {
  std::uint64_t n = v.size();
  for (auto x : v)
    n = n * 31 + x;
  return n;
}

template <class... T>
std::string line(const T&... parts) {
  std::ostringstream out;
  const char* gap = "";
  ((out << gap << parts, gap = " "), ...);
  return out.str();
}

// -- an event in the form of the specification ---------------------------------------------

std::string line_of(const event& e) {
  struct visitor {
    std::string operator()(const peer_hello& x) const {
      const auto& l = x.limits;
      return line("hello", l.max_frame, l.max_inflight, l.max_streams, l.ack_window, l.x1, l.zstd,
                  x.said->pq);
    }
    std::string operator()(const opened& x) const {
      return line("opened", x.corr, x.app, sum(x.tenant.id), x.objects, x.reply_objects,
                  x.half_closed, x.app_e2e, sum(x.name.view()), sum(x.cap.view()),
                  sum(x.args.view()));
    }
    std::string operator()(const data& x) const {
      return line("data", x.corr, x.seq, sum(x.bytes.view()), x.status, x.push, x.end, x.app_e2e,
                  x.raw_len, x.obj ? sum(x.obj->hash) : 0, x.total ? line(*x.total) : "-");
    }
    std::string operator()(const ended& x) const {
      return line("ended", x.corr, x.status, x.closed);
    }
    std::string operator()(const stream_error& x) const {
      return line("error", x.corr, x.status, static_cast<int>(x.why), x.local, x.last_seq);
    }
    std::string operator()(const credit& x) const {
      return line("credit", x.corr);
    }
    std::string operator()(const draining& x) const {
      return line("draining", x.last_seq);
    }
    std::string operator()(const closed& x) const {
      return line("closed", static_cast<int>(x.why), x.status, x.local);
    }
  };
  return std::visit(visitor{}, e);
}

// -- one history -----------------------------------------------------------------------

class history {
public:
  explicit history(const chooser& choose)
      : choose_(choose), dialer_(choose(2) == 1), alpn_(choose(4) != 0),
        well_behaved_(pick({25, 100, 400, 4'000})), lingers_(choose(4) == 0),
        in_bursts_(choose(4) == 0), real_(dialer_ ? role::dialer : role::acceptor, real_settings()),
        spec_(spec_settings()) {
    if (choose_(20) != 0)
      feed({hello()});
  }

  history_result run(std::uint64_t steps) {
    std::uint64_t after = 2; // steps, to see that the end is the end
    for (std::uint64_t i = 0; i < steps && ok() && after != 0; ++i) {
      step();
      check();
      after -= spec_.over ? 1 : 0;
    }
    if (ok() && choose_(2) == 0) {
      tell("eof");
      real_.on_eof(choose_(2) == 0);
      spec_.on_eof();
      spec_.output.clear(); // an ERROR is sent only where somebody may read it
      eof_ = true;
      check();
    }
    result_.rejects = spec_.reasons;
    if (ok())
      result_.story.clear();
    return std::move(result_);
  }

private:
  // -- settings --------------------------------------------------------------------------

  std::uint64_t pick(std::initializer_list<std::uint64_t> l) {
    return l.begin()[choose_(l.size())];
  }
  session_settings real_settings() {
    session_settings s;
    s.alpn = alpn_;
    s.max_frame = static_cast<std::uint32_t>(pick({66'560, 1'048'576}));
    s.max_inflight = static_cast<std::uint32_t>(pick({64, 65, 512}));
    s.max_streams = static_cast<std::uint32_t>(pick({64, 512}));
    s.ack_window = static_cast<std::uint32_t>(pick({8, 9, 32, 1'024}));
    s.receive_budget = pick({1, 66'560 * 10, 8u << 20});
    s.output_bytes_max = pick({1, 262'144});
    s.features =
        choose_(4) == 0 ? std::vector<std::string>{"x1"} : std::vector<std::string>{"x1", "zstd"};
    settings_ = s;
    return s;
  }
  spec::session_settings spec_settings() const {
    spec::session_settings s;
    s.dialer = dialer_;
    s.alpn = alpn_;
    s.ours = {.max_frame = settings_.max_frame,
              .max_inflight = settings_.max_inflight,
              .max_streams = settings_.max_streams,
              .ack_window = settings_.ack_window,
              .x1 = true,
              .zstd = settings_.features.size() == 2};
    s.parse_hello = meaning_of;
    return s;
  }

  // -- frames of the peer ------------------------------------------------------------------

  bool rarely() {
    return choose_(well_behaved_) == 0;
  }

  wire hello() {
    bool mine = dialer_;
    if (rarely())
      mine = !mine;
    return hello_frame(!mine, hellos[choose_(10) == 0 ? choose_(hellos.size()) : choose_(6)].text);
  }
  std::uint64_t some_stream() {
    if (lingers_ && spec_.last_ended() != 0 && choose_(3) == 0)
      return spec_.last_ended();
    if (spec_.streams.empty() || rarely())
      return choose_(spec_.last_corr + 3);
    auto it = spec_.streams.begin();
    std::advance(
        it, static_cast<std::ptrdiff_t>(choose_(std::min<std::uint64_t>(spec_.streams.size(), 6))));
    return it->first;
  }
  std::uint16_t app_of(std::uint64_t corr) {
    auto it = spec_.streams.find(corr);
    auto app = it == spec_.streams.end() ? 1 : it->second.app;
    return static_cast<std::uint16_t>(rarely() ? app + 1 : app);
  }
  std::uint8_t tenant_of(std::uint64_t corr) {
    auto it = spec_.streams.find(corr);
    if (it == spec_.streams.end() || choose_(2) == 0)
      return rarely() ? 3 : 0;
    return rarely() ? 3 : it->second.tenant.back();
  }

  // Without x1 frames have no extension block.
  wire bare(std::uint16_t flags, std::uint16_t status, std::uint64_t corr, std::string_view body) {
    raw r{.flags = flags,
          .code = status,
          .app = app_of(corr),
          .tenant = tenant_of(corr),
          .corr = corr};
    put(r.body, body);
    return r.build();
  }

  wire start() {
    auto corr = rarely() ? choose_(spec_.last_corr + 1) : spec_.last_corr + 1 + choose_(8) / 7;
    auto flags = (choose_(spec_.x1() ? 6 : 1) == 0 && !rarely() ? flag::end : 0)
                 | (rarely() ? flag::ack_req : 0) | (rarely() ? flag::app_e2e : 0);
    if (!spec_.x1() && !rarely())
      return bare(static_cast<std::uint16_t>(flag::req | flag::start | flags), 0, corr, "args");
    start_opts o{.flags = static_cast<std::uint16_t>(flags),
                 .app = static_cast<std::uint16_t>(1 + choose_(2)),
                 .tenant = static_cast<std::uint8_t>(choose_(3)),
                 .xflags = static_cast<std::uint8_t>(choose_(3) == 0 ? choose_(4) : 0),
                 .window = static_cast<std::uint32_t>(rarely() ? 0 : pick({1, 2, 8, 1'024}))};
    o.seq = rarely() ? pick({~0ull, ~0ull - 1, ~0ull - 3}) : choose_(4) == 0 ? choose_(1'000) : 0;
    if (choose_(4) == 0)
      o.cap = "capability";
    if (choose_(4) == 0)
      o.args = "arguments";
    return start_frame_of(corr, o);
  }

  wire data_or_end() {
    auto corr = some_stream();
    auto it = spec_.streams.find(corr);
    bool end = choose_(8) == 0;
    bool bytes = end ? choose_(2) == 0 : choose_(10) != 0;
    bool push = dialer_ && !end && choose_(4) == 0;
    auto dir = dialer_ ? (push ? flag::event : flag::resp) : flag::req;
    auto flags = static_cast<std::uint16_t>((end ? flag::end : 0) | (rarely() ? flag::ack_req : 0)
                                            | (rarely() ? flag::app_e2e : 0));
    auto status = static_cast<std::uint16_t>(dialer_ ? 200 : 0);
    if (!spec_.x1() && !rarely())
      return bare(static_cast<std::uint16_t>(dir | flags | (choose_(8) ? flag::end : 0)), status,
                  corr, bytes ? "answer" : "");
    auto r = it == spec_.streams.end() ? choose_(4) : it->second.in.r;
    auto seq = r + (end && !bytes ? 0 : 1);
    if (rarely())
      seq = pick({seq - 1, seq + 1, 0, ~0ull});
    data_opts o{.dir = dir,
                .flags = flags,
                .status = status,
                .app = app_of(corr),
                .tenant = tenant_of(corr)};
    bool objects = it != spec_.streams.end() && it->second.in.objects;
    if (objects ? !rarely() && choose_(2) == 0 : rarely())
      o.obj = rarely() ? 8 : 7;
    o.total = choose_(10) == 0;
    if (rarely()) {
      o.flags |= flag::comp;
      o.raw_len = static_cast<std::uint32_t>(pick({100, 8u << 20, (8u << 20) + 1, 0}));
    }
    return data_frame_of(corr, seq, bytes ? "chunk" : "", o);
  }

  wire ack() {
    auto corr = some_stream();
    auto it = spec_.streams.find(corr);
    std::uint64_t up_to = choose_(5);
    if (it != spec_.streams.end()) {
      const auto& out = it->second.out;
      up_to = out.a + choose_(out.s - out.a + 1);
      if (rarely())
        up_to = pick({out.a - 1, out.s + 1, 0});
    }
    auto window = static_cast<std::uint32_t>(rarely() ? 1'025 : pick({0, 1, 8, 8, 16, 1'024}));
    return ack_frame_of(corr, up_to, window);
  }

  wire stream_error() {
    auto corr = some_stream();
    auto status = static_cast<std::uint16_t>(pick({400, 499, 503}));
    if (!spec_.x1())
      return bare(flag::resp | flag::end, status, corr, R"({"code":"busy","message":"m"})");
    auto w = error_frame_of(corr, status, static_cast<std::uint16_t>(pick({13, 0x109, 0x1f0, 999})),
                            choose_(10), app_of(corr));
    return w;
  }

  wire frame() {
    auto w = any_frame();
    // One wrong byte in the header or block; never in a HELLO's text, which only a parser knows.
    if (rarely())
      w[choose_(std::min<std::size_t>(w.size(), w[off::app + 1] || w[off::app] ? 60 : 38))] ^=
          static_cast<std::uint8_t>(1u << choose_(8));
    return w;
  }
  wire any_frame() {
    auto n = choose_(100);
    if (!spec_.hello_in && n < 60)
      return hello();
    if (n < 5 && rarely())
      return n < 4 ? hello() : error_frame_of(0, 500, 0x114);
    if (n == 5 && choose_(10) == 0)
      return error_frame_of(0, 503, 0x1f1, choose_(spec_.last_corr + 1));
    if (n < 9)
      return stream_error();
    if (!dialer_ && (n < 25 || spec_.streams.empty()))
      return start();
    return n < 45 && spec_.x1() ? ack() : data_or_end();
  }

  // -- steps -----------------------------------------------------------------------------

  void step() {
    switch (choose_(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: {
      std::vector<wire> frames;
      for (auto n = 1 + (choose_(in_bursts_ ? 3 : 12) == 0 ? choose_(100) : choose_(4)); n > 0;
           --n) {
        frames.push_back(frame());
        judge(frames.back());
      }
      bring(frames);
      break;
    }
    case 5:
    case 6:
      take();
      break;
    default:
      command();
    }
  }
  void feed(const std::vector<wire>& frames) {
    for (const auto& w : frames)
      judge(w);
    bring(frames);
  }
  void judge(const wire& w) {
    result_.frames += spec_.over ? 0 : 1;
    tell("peer " + core::to_hex(w));
    spec_.on_bytes(w);
  }
  void bring(const std::vector<wire>& frames) {
    wire all;
    for (const auto& w : frames)
      all = all + w;
    auto whole = to_bytes(all);
    bool one_slab = choose_(2) == 0;
    auto cuts = choose_(4);
    for (std::size_t at = 0; at < all.size();) {
      auto n = cuts == 0 ? all.size() - at : 1 + choose_(cuts == 1 ? 3 : 100);
      auto piece = whole.slice(at, n);
      at += piece.size();
      real_.on_bytes(one_slab ? piece : core::bytes::copy(piece.view()), now_);
    }
  }

  void take() {
    tell("take");
    std::vector<core::bytes> out;
    real_.take(out);
    for (const auto& b : out)
      written_.insert(written_.end(), b.view().begin(), b.view().end());
    while (!written_.empty() && ok()) {
      auto v = spec::read(written_, {});
      if (v.is != spec::verdict::good)
        return fail_with("wrote what cannot be read");
      if (v.f.kind == spec::kind::ack)
        ++result_.acks;
      if (v.f.kind != spec::kind::hello || said_hello_)
        fail_with(spec_.on_written(v.f));
      said_hello_ = true;
      written_.erase(written_.begin(), written_.begin() + static_cast<std::ptrdiff_t>(v.f.len));
    }
    if (ok())
      fail_with(spec_.after_flush());
  }

  void command() {
    auto corr = some_stream();
    switch (choose_(14)) {
    case 0:
      return expect(real_.end(corr, 200), spec_.end(corr, 200), "end", corr);
    case 1:
      if (choose_(10) != 0)
        return;
      expect(real_.fail(corr, {core::ec::busy, "m", 7}), spec_.fail(corr, 0x109), "fail", corr);
      return spec_.breach(0, 21); // a drained session may have ended
    case 2:
      if (choose_(10) != 0)
        return;
      expect(real_.cancel(corr), spec_.fail(corr, 0x1f0), "cancel", corr);
      return spec_.breach(0, 21);
    case 3:
      return consume(corr);
    case 4:
      paused_.insert(corr);
      return real_.pause(corr);
    case 5:
      paused_.erase(corr);
      return real_.resume(corr);
    case 6:
      return rare_command(corr);
    case 7:
    case 8:
      if (dialer_)
        return open();
      [[fallthrough]];
    default:
      return send(corr);
    }
  }
  void rare_command(std::uint64_t corr) {
    switch (choose_(40)) {
    case 0:
      tell("drain");
      real_.drain();
      return spec_.drain();
    case 1:
      tell("close");
      real_.close_with(reason::timeout, "late");
      return spec_.close_with(0x10e);
    case 2:
      tell(line("breach", corr));
      real_.breach(corr, reason::inflate_bound);
      return spec_.breach(corr, 21);
    case 3:
      now_ += std::chrono::seconds{2};
      return spec_.a_second_passed();
    default:
      return;
    }
  }
  void consume(std::uint64_t corr) {
    auto n = static_cast<std::uint32_t>(1 + choose_(20));
    tell(line("consumed", corr, n));
    real_.consumed(corr, n);
  }
  void open() {
    open_request r{.app = static_cast<std::uint16_t>(1 + choose_(2)), .name = "model"};
    r.tenant.id[15] = static_cast<std::uint8_t>(choose_(2));
    r.end = !spec_.x1() || choose_(6) == 0;
    r.name = spec_.x1() ? "model" : "";
    r.objects = spec_.x1() && choose_(4) == 0;
    r.reply_objects = spec_.x1() && choose_(4) == 0;
    r.window = static_cast<std::uint32_t>(pick({0, 0, 1, 3, 100}));
    r.seq_start = choose_(25) == 0 ? ~0ull - 4 : choose_(5) == 0 ? choose_(100) : 0;
    bool behind = real_.pending_bytes() != 0;
    bool may = spec_.may_open();
    auto got = real_.open(r);
    tell(line("open", got ? *got : 0));
    if (!got)
      return may && !behind ? fail_with("refused to open") : void();
    if (!may)
      return fail_with("opened what it must not");
    spec::octets tenant(r.tenant.id.begin(), r.tenant.id.end());
    auto corr = spec_.open(r.app, tenant, r.window, r.seq_start, r.objects, r.reply_objects, r.end,
                           std::string{r.name});
    if (corr != *got)
      fail_with("opened under another number");
  }
  void send(std::uint64_t corr) {
    spec::session::chunk c{.size = choose_(6) == 0 ? 0 : 1 + choose_(2) * 6'000};
    auto it = spec_.streams.find(corr);
    bool objects = it != spec_.streams.end() && it->second.out.objects;
    core::cid id;
    id.hash.fill(static_cast<std::uint8_t>(rarely() ? 8 : 7));
    if (objects ? !rarely() : rarely())
      c.obj = spec::octets(id.hash.begin(), id.hash.end());
    c.end = choose_(spec_.x1() ? 8 : 1) == 0;
    c.push = !dialer_ && choose_(6) == 0;
    c.ack_req = choose_(10) == 0;
    c.raw_len = choose_(25) == 0 ? 100 : 0;
    static const auto bytes = core::bytes::copy(std::string(7'000, 'c'));
    bool behind = real_.pending_bytes() != 0;
    auto may = spec_.may_send(corr, c);
    auto got = real_.send(corr, bytes.slice(0, c.size),
                          {.obj = c.obj ? &id : nullptr,
                           .push = c.push,
                           .end = c.end,
                           .ack_req = c.ack_req,
                           .raw_len = static_cast<std::uint32_t>(c.raw_len)});
    tell(line("send", corr, c.size, static_cast<int>(got)));
    using enum spec::session::may;
    switch (got) {
    case send_status::sent:
      return may == spec::session::may::send ? spec_.send(corr, c)
                                             : fail_with("sent what it must not");
    case send_status::would_block: {
      bool excused = behind || !waiting_.empty();
      waiting_.insert(corr);
      return may == wait || ((may == spec::session::may::send || may == refuse) && excused)
                 ? void()
                 : fail_with("waits for nothing");
    }
    case send_status::no_stream:
      return may == no_stream ? void() : fail_with("does not know the stream");
    case send_status::refused:
      return may == refuse ? void() : fail_with("refused to send");
    }
  }

  // -- comparing -----------------------------------------------------------------------------

  bool ok() const {
    return result_.failure.empty();
  }
  void tell(const std::string& what) {
    result_.story += what + "\n";
  }
  void fail_with(const std::string& what) {
    if (ok())
      result_.failure = what;
  }
  void expect(bool got, bool wanted, const char* what, std::uint64_t corr) {
    tell(line(what, corr, got));
    if (got != wanted)
      fail_with(line(what, corr, "returned", got));
  }

  void check() {
    while (ok() && real_.take_events(batch_))
      for (const auto& e : batch_)
        heard(line_of(e));
    if (ok() && !spec_.events.empty())
      fail_with("event [" + spec_.events.front() + "] is missing");
    if (!ok())
      return;
    for (std::size_t i = 0; i < bucket_count; ++i) {
      auto name = std::string{to_string(static_cast<bucket>(i))};
      if (real_.counters().rejects[i] != spec_.rejects[name])
        return fail_with(line("counts", real_.counters().rejects[i], "of", name, "instead of",
                              spec_.rejects[name]));
    }
    if (real_.open_streams() != spec_.streams.size())
      return fail_with(
          line(real_.open_streams(), "streams are open instead of", spec_.streams.size()));
    if (real_.is_closed() != spec_.over)
      return fail_with("closed");
    if (real_.inflight() != spec_.unacked_out() && spec_.x1())
      return fail_with(line("inflight", real_.inflight(), "instead of", spec_.unacked_out()));
    if (spec_.unacked_out() > spec_.lim.max_inflight)
      return fail_with("more in flight than agreed");
    std::erase_if(waiting_, [this](auto corr) {
      auto it = spec_.streams.find(corr);
      return it == spec_.streams.end() || !it->second.out.open;
    });
  }
  void heard(const std::string& got) {
    if (got.starts_with("credit ")) {
      if (waiting_.erase(std::stoull(got.substr(7))) == 0)
        fail_with("credit for a stream that does not wait: " + got);
      return;
    }
    if (spec_.events.empty() || spec_.events.front() != got)
      return fail_with("event [" + got + "] instead of ["
                       + (spec_.events.empty() ? "none" : spec_.events.front()) + "]");
    tell("event " + got);
    spec_.events.erase(spec_.events.begin());
  }

  const chooser& choose_;
  bool dialer_;
  bool alpn_;
  std::uint64_t well_behaved_; ///< one choice in so many breaks a rule
  bool lingers_;               ///< goes on sending on streams that have had their ERROR
  bool in_bursts_;             ///< many frames before anything is taken
  session_settings settings_;
  session real_;
  spec::session spec_;
  history_result result_;
  events batch_;
  spec::octets written_;
  std::set<std::uint64_t> waiting_;
  std::set<std::uint64_t> paused_;
  core::instant now_{std::chrono::hours{1}};
  bool said_hello_ = false;
  bool eof_ = false;
};

} // namespace

history_result run_history(const chooser& choose, std::uint64_t steps) {
  return history{choose}.run(steps);
}

} // namespace ron::oap::test
