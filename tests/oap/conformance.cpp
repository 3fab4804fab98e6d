#include "oap/conformance.hpp"

#include "oap/harness.hpp"

#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string_view>
#include <type_traits>

namespace ron::oap::test {

namespace {

using core::json;

std::string hex(core::byte_view v) {
  return core::to_hex(v);
}

wire hex_of(const json& v) {
  return from_hex(v.get<std::string>());
}

// -- what happened, in the words of the vectors --------------------------------------------

json told(const peer_hello& e) {
  const auto& l = e.limits;
  auto pq = core::parse_json(std::string_view{e.said->pq});
  return {{"event", "hello"},
          {"max_frame", l.max_frame},
          {"max_inflight", l.max_inflight},
          {"max_streams", l.max_streams},
          {"ack_window", l.ack_window},
          {"x1", l.x1},
          {"zstd", l.zstd},
          {"pq", pq ? *pq : json{}}};
}
json told(const opened& e) {
  return {{"event", "opened"},
          {"corr", e.corr},
          {"app", e.app},
          {"tenant", hex(e.tenant.id)},
          {"objects", e.objects},
          {"reply_objects", e.reply_objects},
          {"half_closed", e.half_closed},
          {"e2e", e.app_e2e},
          {"name", std::string{e.name.view().begin(), e.name.view().end()}},
          {"cap", hex(e.cap.view())},
          {"args", hex(e.args.view())}};
}
json told(const data& e) {
  return {{"event", "data"},
          {"corr", e.corr},
          {"seq", e.seq},
          {"bytes", hex(e.bytes.view())},
          {"status", e.status},
          {"push", e.push},
          {"end", e.end},
          {"e2e", e.app_e2e},
          {"raw_len", e.raw_len},
          {"obj", e.obj ? hex(e.obj->hash) : ""},
          {"total", e.total ? json(*e.total) : json(-1)}};
}
json told(const ended& e) {
  return {{"event", "ended"}, {"corr", e.corr}, {"status", e.status}, {"closed", e.closed}};
}
json told(const stream_error& e) {
  return {{"event", "error"},
          {"corr", e.corr},
          {"status", e.status},
          {"reason", static_cast<int>(e.why)},
          {"local", e.local},
          {"last_seq", e.last_seq},
          {"retry_after_ms", e.retry_after_ms},
          {"message", std::string{e.message.view().begin(), e.message.view().end()}}};
}
json told(const draining& e) {
  return {{"event", "draining"}, {"last_seq", e.last_seq}};
}
json told(const closed& e) {
  return {{"event", "closed"},
          {"reason", static_cast<int>(e.why)},
          {"status", e.status},
          {"local", e.local}};
}

json fields_of(const frame_view& f) {
  json j{{"kind", to_string(f.kind())},
         {"flags", f.flags()},
         {"status", f.status()},
         {"app", f.app()},
         {"corr", f.corr()},
         {"x", f.ext()},
         {"tenant", hex(f.tenant().id)},
         {"cap", hex(f.cap())}};
  switch (f.kind()) {
  case kind::hello:
    j["body"] = hex(f.body());
    break;
  case kind::start: {
    auto s = read_start(f);
    j.update({{"objects", s.objects},
              {"reply_objects", s.reply_objects},
              {"window", s.window},
              {"seq_start", s.seq_start},
              {"name", std::string{s.name}},
              {"args", hex(s.args)}});
    break;
  }
  case kind::data:
  case kind::end: {
    auto d = read_data(f);
    j.update({{"seq", d.seq},
              {"raw_len", d.raw_len},
              {"bytes", hex(d.bytes)},
              {"obj", d.obj ? hex({d.obj, ext_obj_bytes}) : ""},
              {"total", d.has_total ? json(d.total) : json(-1)}});
    break;
  }
  case kind::ack:
    j.update({{"up_to", read_ack(f).up_to}, {"window", read_ack(f).window}});
    break;
  case kind::error: {
    auto e = read_error(f);
    j.update({{"reason", static_cast<int>(e.why)},
              {"last_seq", e.last_seq},
              {"retry_after", e.has_retry_after},
              {"retry_after_ms", e.retry_after_ms},
              {"message", std::string{e.message}}});
    break;
  }
  }
  return j;
}

// -- comparing --------------------------------------------------------------------------------

// Every key of `wanted` is in `got` with the same value.
std::string differs(const json& wanted, const json& got) {
  for (const auto& [key, value] : wanted.items()) {
    auto it = got.find(key);
    if (it == got.end() || *it != value)
      return key + " of " + got.dump() + " is not " + value.dump();
  }
  return "";
}

std::string differs(const char* what, const json& wanted, const std::vector<json>& got) {
  for (std::size_t i = 0; i < std::min<std::size_t>(wanted.size(), got.size()); ++i)
    if (auto d = differs(wanted[i], got[i]); !d.empty())
      return std::string{what} + " " + std::to_string(i) + ": " + d;
  if (wanted.size() == got.size())
    return "";
  return std::string{what} + ": " + std::to_string(got.size()) + " instead of "
         + std::to_string(wanted.size())
         + (got.size() > wanted.size() ? ", one more is " + got[wanted.size()].dump() : "");
}

// -- a session ------------------------------------------------------------------------------

class runner {
public:
  explicit runner(const json& vector)
      : session_(vector["role"] == "dialer" ? role::dialer : role::acceptor,
                 settings_of(vector["settings"])) {
  }

  std::string step(const json& s, const cut& c, std::size_t number) {
    if (s.contains("receive")) {
      receive(s["receive"], c, number);
      return broken_;
    }
    if (s.contains("expect"))
      return expect(s["expect"]);
    auto gave = act(s);
    if (s.contains("gives") && s["gives"] != gave)
      return s["do"].get<std::string>() + " gave " + gave.dump() + " instead of "
             + s["gives"].dump();
    return broken_;
  }

private:
  static session_settings settings_of(const json& j) {
    session_settings s;
    s.features = {"x1", "zstd"};
    s.alpn = j.value("alpn", true);
    s.max_frame = j.value("max_frame", s.max_frame);
    s.max_streams = j.value("max_streams", s.max_streams);
    s.max_inflight = j.value("max_inflight", s.max_inflight);
    s.ack_window = j.value("ack_window", s.ack_window);
    if (!j.value("widen", true))
      s.receive_budget = 1;
    return s;
  }

  void receive(const json& frames, const cut& c, std::size_t number) {
    wire all;
    for (const auto& f : frames)
      all = all + hex_of(f);
    auto whole = to_bytes(all);
    for (std::size_t at = 0; at < all.size();) {
      auto n = all.size() - at;
      if (c.how == cut::every_byte)
        n = 1;
      else if (c.how == cut::once && c.step == number && at < c.at)
        n = c.at - at;
      session_.on_bytes(core::bytes::copy(whole.slice(at, n).view()), now_);
      at += n;
      listen();
    }
    write();
  }

  json act(const json& s) {
    auto verb = s["do"].get<std::string>();
    auto corr = s.value("corr", std::uint64_t{0});
    json gave;
    if (verb == "open")
      gave = open(s);
    else if (verb == "send")
      gave = send(s, corr);
    else if (verb == "end")
      gave = session_.end(corr);
    else if (verb == "cancel")
      gave = session_.cancel(corr);
    else if (verb == "fail")
      gave = session_.fail(corr, {core::ec::busy, "busy", 0});
    else if (verb == "pause")
      session_.pause(corr);
    else if (verb == "drain")
      session_.drain();
    else if (verb == "eof")
      session_.on_eof(s.at("clean").get<bool>());
    else
      broken_ = "unknown verb " + verb;
    listen();
    write();
    return gave;
  }
  json open(const json& s) {
    auto name = s.value("name", "");
    auto args = from_hex(s.value("args", ""));
    auto got = session_.open({.app = s.value("app", std::uint16_t{1}),
                              .name = name,
                              .args = args,
                              .objects = s.value("objects", false),
                              .reply_objects = s.value("reply_objects", false),
                              .end = s.value("end", false)});
    return got ? *got : 0;
  }
  json send(const json& s, corr_t corr) {
    static constexpr const char* names[] = {"sent", "would_block", "no_stream", "refused"};
    auto bytes = to_bytes(hex_of(s["bytes"]));
    return names[static_cast<int>(session_.send(corr, bytes, {.end = s.value("end", false)}))];
  }

  void listen() {
    events batch;
    while (session_.take_events(batch))
      for (const auto& e : batch)
        std::visit(
            [this](const auto& x) {
              if constexpr (!std::is_same_v<std::decay_t<decltype(x)>, credit>)
                events_.push_back(told(x));
            },
            e);
  }
  void write() {
    std::vector<core::bytes> out;
    session_.take(out);
    wire all;
    for (const auto& b : out)
      all.insert(all.end(), b.view().begin(), b.view().end());
    listen();
    core::byte_view v{all};
    while (!v.empty()) {
      auto r = next(v, {});
      if (r.is != read_status::frame) {
        broken_ = "wrote what cannot be read";
        return;
      }
      note(view_of(v, r));
      v = v.subspan(r.len);
    }
  }
  void note(const frame_view& f) {
    if (f.kind() == kind::ack) {
      auto a = read_ack(f);
      auto& last = acked_[std::to_string(f.corr())];
      if (a.up_to < last)
        broken_ = "up_to went back";
      last = a.up_to;
    } else if (f.kind() != kind::hello) {
      writes_.push_back(fields_of(f));
    }
  }

  std::string expect(const json& e) {
    if (auto d = differs("event", e["events"], events_); !d.empty())
      return d;
    if (auto d = differs("frame written", e["writes"], writes_); !d.empty())
      return d;
    events_.clear();
    writes_.clear();
    json rejects = json::object();
    for (std::size_t i = 0; i < bucket_count; ++i)
      if (auto n = session_.counters().rejects[i])
        rejects[std::string{to_string(static_cast<bucket>(i))}] = n;
    if (rejects != e["rejects"])
      return "rejects are " + rejects.dump() + " instead of " + e["rejects"].dump();
    if (session_.is_closed() != e["closed"].get<bool>())
      return "closed is not " + e["closed"].dump();
    auto acked = e.value("acked", json::object());
    for (const auto& [corr, up_to] : acked.items())
      if (acked_[corr] != up_to)
        return "stream " + corr + " is acknowledged up to " + std::to_string(acked_[corr])
               + " instead of " + up_to.dump();
    return broken_;
  }

  session session_;
  core::instant now_{std::chrono::seconds{100}};
  std::vector<json> events_;
  std::vector<json> writes_;
  std::map<std::string, std::uint64_t> acked_;
  std::string broken_;
};

// -- one frame --------------------------------------------------------------------------------

reader_limits limits_of(const json& j) {
  reader_limits l;
  l.max_frame = j.value("max_frame", l.max_frame);
  l.x1 = j.value("x1", l.x1);
  l.zstd = j.value("zstd", l.zstd);
  return l;
}

std::string frame_at(const json& expect, core::byte_view in, std::size_t whole,
                     const reader_limits& limits) {
  auto r = next(in, limits);
  if (r.is != next(in, limits).is)
    return "asked twice, told twice";
  if (expect.contains("frame")) {
    if (in.size() < whole)
      return r.is == read_status::need_more && r.len > in.size() && r.len <= whole
                 ? ""
                 : "a prefix is no need_more";
    if (r.is != read_status::frame || r.len != whole)
      return "no frame";
    if (to_string(r.kind) != expect["frame"].get<std::string>())
      return "it is " + std::string{to_string(r.kind)};
    return differs(expect["fields"], fields_of(view_of(in, r)));
  }
  auto after = expect["after_bytes"].get<std::size_t>();
  auto why = static_cast<reason>(expect["reject"]["reason"].get<int>());
  if (expect.value("at_end_of_input", false)) {
    bool names = why == reason::truncated
                 && expect["reject"]["bucket"] == std::string{to_string(bucket::truncated)};
    return r.is == read_status::need_more && after == whole && names ? "" : "not truncated";
  }
  if (in.size() < after)
    return r.is == read_status::need_more ? "" : "judged too early";
  if (r.is != read_status::reject)
    return "no reject";
  if (r.why != why || expect["reject"]["bucket"] != std::string{to_string(info(r.why).bucket)})
    return "rejected as " + std::string{to_string(r.why)};
  return "";
}

// -- wrong copies -------------------------------------------------------------------------------

void each_wrong(json& value, const json& root, std::vector<json>& out) {
  auto put = [&](json wrong) {
    std::swap(value, wrong);
    out.push_back(root);
    std::swap(value, wrong);
  };
  if (value.is_boolean())
    return put(!value.get<bool>());
  if (value.is_number_unsigned())
    return put(value.get<std::uint64_t>() ^ 1);
  if (value.is_number_integer())
    return put(value.get<std::int64_t>() + 1);
  if (value.is_string())
    return put(value.get<std::string>() + "~");
  if (value.is_array()) {
    json longer = value;
    longer.push_back(value.empty() ? json::object() : value.back());
    put(longer);
    if (!value.empty()) {
      json shorter = value;
      shorter.erase(shorter.size() - 1);
      put(shorter);
    }
  }
  if (value.is_object() && value.empty())
    put({{"frame_oversize", 1}});
  if (value.is_structured())
    for (auto& x : value)
      each_wrong(x, root, out);
}

} // namespace

core::json load_conformance(const std::string& file) {
  std::ifstream in{RON_SOURCE_DIR "/tests/vectors/oap1/" + file};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  auto doc = core::parse_json(text, {.bytes_max = 4u << 20, .values_max = 1u << 20});
  if (!doc)
    throw std::runtime_error{"cannot read " + file};
  return doc->at("vectors");
}

std::string run_session_vector(const json& vector, const cut& c) {
  runner r{vector};
  std::size_t number = 0;
  for (const auto& s : vector["steps"]) {
    if (auto d = r.step(s, c, number); !d.empty())
      return "step " + std::to_string(number) + ": " + d;
    ++number;
  }
  return "";
}

std::string run_frame_vector(const json& vector) {
  auto w = hex_of(vector["hex"]);
  auto limits = limits_of(vector["limits"]);
  for (std::size_t n = 0; n <= w.size(); ++n)
    if (auto d = frame_at(vector["expect"], core::byte_view{w}.first(n), w.size(), limits);
        !d.empty())
      return std::to_string(n) + " bytes: " + d;
  return "";
}

std::vector<std::size_t> input_sizes(const json& vector) {
  std::vector<std::size_t> out;
  for (const auto& s : vector["steps"]) {
    std::size_t n = 0;
    if (s.contains("receive"))
      for (const auto& f : s["receive"])
        n += f.get_ref<const std::string&>().size() / 2;
    out.push_back(n);
  }
  return out;
}

std::vector<json> with_wrong_expectations(const json& vector) {
  std::vector<json> out;
  json copy = vector;
  if (copy.contains("expect")) {
    each_wrong(copy["expect"], copy, out);
    return out;
  }
  for (auto& s : copy["steps"])
    for (const char* key : {"expect", "gives"})
      if (s.contains(key))
        each_wrong(s[key], copy, out);
  return out;
}

std::vector<json> with_missing_input(const json& vector) {
  std::vector<json> out;
  for (std::size_t i = 0; i < vector["steps"].size(); ++i) {
    json copy = vector;
    auto& s = copy["steps"][i];
    if (!s.contains("receive"))
      continue;
    s["receive"].erase(s["receive"].size() - 1);
    out.push_back(std::move(copy));
  }
  return out;
}

} // namespace ron::oap::test
