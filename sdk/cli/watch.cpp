#include "commands.hpp"
#include "contact.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "output.hpp"

#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <optional>

namespace ron::cli {

using core::json;

namespace {

/// "14:03:07", the time of day here.
std::string clock_of(const json& wall_ms) {
  const auto seconds = static_cast<std::time_t>(wall_ms.get<std::int64_t>() / 1'000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char text[16];
  std::strftime(text, sizeof text, "%H:%M:%S", &local);
  return text;
}

/// One line a message, at once: somebody is watching, or the next program in a pipe waits.
void print_message(const json& m, format how, bool feed) {
  if (how == format::json) {
    print_json(m);
  } else {
    const auto id = m.at("message_id").get<std::string>();
    auto line = clock_of(m.at("received_at_ms")) + '\t' + id + '\t';
    if (!feed)
      line += m.at("receipt").get<std::string>() + '\t' + core::dump_json(m.at("attempt")) + '\t';
    if (!m.at("key").is_null())
      line += m.at("key").get<std::string>() + ": ";
    std::puts((line + payload_text(m.at("payload"))).c_str());
  }
  std::fflush(stdout);
}

core::result<void> acknowledge(sdk::client& by, const std::string& topic, const json& m) {
  auto done = by.call("mb.ack", {{"topic", topic}, {"receipts", json::array({m.at("receipt")})}});
  if (!done)
    return std::unexpected{done.error()};
  const auto status = done->at("results").at(0).at("status").get<std::string>();
  if (status != "ok")
    std::fprintf(stderr, "ronctl: %s is %s, its visibility period ended too early\n",
                 m.at("message_id").get<std::string>().c_str(), status.c_str());
  return {};
}

/// What the options ask of the node. Error: bad_request with one sentence.
core::result<json> question_of(const arguments& args, bool feed) {
  json q{{"topic", args.positional[0]}};
  for (const auto* option : {"--ack", "--visibility"})
    if (feed && args.has(option))
      return core::fail(core::ec::bad_request, std::string{option} + ": not with --feed");
  if (!feed && args.has("--after"))
    return core::fail(core::ec::bad_request, "--after: only with --feed");
  if (const auto after = args.get("--after"); !after.empty())
    q["after"] = after == "0" ? core::ulid{}.to_text() : after;
  if (args.has("--visibility")) {
    auto ms = parse_number("--visibility", args.get("--visibility"), 250, 43'200'000);
    if (!ms)
      return std::unexpected{ms.error()};
    q["visibility_ms"] = *ms;
  }
  return q;
}

} // namespace

exit_code run_watch(const arguments& args, const target& t, format how) {
  const auto& topic = args.positional[0];
  const auto doing = "mb watch " + topic;
  const bool feed = args.has("--feed");
  auto question = question_of(args, feed);
  if (!question)
    return report(doing, question.error());
  auto left = parse_number("--max", args.get("--max", "18446744073709551615"), 1, UINT64_MAX);
  if (!left)
    return report(doing, left.error());
  auto client = connect(t);
  if (!client)
    return report(doing, client.error());
  std::optional<sdk::client> second; // the first is busy with the stream
  if (args.has("--ack")) {
    auto c = connect(t);
    if (!c)
      return report(doing, c.error());
    second.emplace(std::move(*c));
  }
  if (how == format::table && ::isatty(STDERR_FILENO) != 0)
    std::fprintf(stderr, "watching %s, ^C to end\n", topic.c_str());
  auto done = client->listen(feed ? "mb.follow" : "mb.sub", *question,
                             [&](json m) -> core::result<bool> {
                               print_message(m, how, feed);
                               if (second)
                                 if (auto ok = acknowledge(*second, topic, m); !ok)
                                   return std::unexpected{ok.error()};
                               return --*left != 0;
                             });
  return done ? exit_ok : report(doing, done.error());
}

} // namespace ron::cli
