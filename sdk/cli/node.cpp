#include "commands.hpp"
#include "core/json.hpp"
#include "output.hpp"

#include <algorithm>
#include <cstdio>

namespace ron::cli {

using core::json;

namespace {

std::string cell(const json& v) {
  if (v.is_string())
    return v.get<std::string>();
  return v.is_null() ? "-" : core::dump_json(v);
}

std::string milliseconds_cell(const json& v) {
  const auto ms = v.is_number() ? v.get<double>() : 0.0;
  return human_time(std::chrono::nanoseconds{static_cast<std::int64_t>(ms * 1e6)});
}

/// One line of the doctor: what was tried, what came out, what to do.
bool check(const char* what, const core::result<std::string>& outcome, const char* advice) {
  if (outcome) {
    std::printf("ok    %s: %s\n", what, outcome->c_str());
    return true;
  }
  std::printf("FAIL  %s: %s\n      -> %s\n", what, outcome.error().message.c_str(), advice);
  return false;
}

} // namespace

exit_code run_actors(const arguments& args, const target& t, format how) {
  std::string path = "/debug/v1/actors?limit=10000";
  if (args.has("--type"))
    path += "&type=" + args.get("--type");
  auto answer = admin_get(t, path);
  if (!answer)
    return report("actors", answer.error());
  if (!answer->contains("items"))
    return report("actors", {core::ec::downstream_5xx, core::dump_json(*answer)});
  if (how == format::json) {
    print_json(*answer);
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& a : answer->at("items")) {
    const auto& box = a.at("mailbox");
    rows.push_back({cell(a.at("id")), cell(a.at("type")), cell(a.at("shard")), cell(a.at("parent")),
                    cell(a.at("state")), cell(box.at("now")), cell(box.at("bound")),
                    cell(box.at("high_water")), cell(a.at("in")), cell(a.at("out")),
                    cell(a.at("dropped")), milliseconds_cell(a.at("busy_ms")),
                    milliseconds_cell(a.at("age_ms"))});
  }
  print_table({"ID", "TYPE", "SHARD", "PARENT", "STATE", "MAIL", "BOUND", "HIGH", "IN", "OUT",
               "DROP", "BUSY", "AGE"},
              rows);
  return exit_ok;
}

exit_code run_ping(const arguments& args, const target& t, format how) {
  auto count = parse_number("--count", args.get("--count", "5"), 1, 10'000);
  if (!count)
    return report("ping", count.error());
  auto client = connect(t);
  if (!client)
    return report("ping", client.error());
  std::vector<std::chrono::nanoseconds> times;
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto took = client->ping();
    if (!took)
      return report("ping", took.error());
    times.push_back(*took);
  }
  std::ranges::sort(times);
  const auto median = times[times.size() / 2];
  auto us = [](std::chrono::nanoseconds d) {
    return std::chrono::duration<double, std::micro>(d).count();
  };
  if (how == format::json)
    print_json({{"count", *count}, {"min_us", us(times.front())}, {"median_us", us(median)},
                {"max_us", us(times.back())}, {"tls", client->tls_description()}});
  else
    print_table({"COUNT", "MIN", "MEDIAN", "MAX", "TLS"},
                {{std::to_string(*count), human_time(times.front()), human_time(median),
                  human_time(times.back()), client->tls_description()}});
  return exit_ok;
}

exit_code run_doctor(const arguments&, const target& t, format) {
  bool good = true;
  auto ready = admin_get(t, "/readyz");
  core::result<std::string> state = std::unexpected{core::error{}};
  if (!ready)
    state = std::unexpected{ready.error()};
  else if (ready->value("ready", false))
    state = ready->value("degraded", false) ? "ready, reads only" : "ready";
  else
    state = std::unexpected{core::error{core::ec::degraded, "not ready: missing "
                                                              + cell((*ready)["missing"])}};
  good &= check("admin listener", state,
                "start a node (./dev run), or say where its admin listener is with --admin");
  if (t.node.is_loopback()) {
    auto contact = ask_operator_socket(t.admin.port);
    core::result<std::string> first = std::unexpected{core::error{}};
    if (contact)
      first = "certificate " + contact->cert_sha256.substr(0, 16) + "..., capability received";
    else
      first = std::unexpected{contact.error()};
    good &= check("operator socket", first,
                  "run ronctl as the node's user, or give --pin and --cap");
  }
  auto client = connect(t);
  core::result<std::string> tls = std::unexpected{core::error{}};
  if (client)
    tls = t.node.to_string() + ' ' + client->tls_description();
  else
    tls = std::unexpected{client.error()};
  good &= check("OAP over TLS", tls, "say where its OAP listener is with --node");
  if (client) {
    auto took = client->ping();
    core::result<std::string> trip = std::unexpected{core::error{}};
    if (took)
      trip = "round trip " + human_time(*took);
    else
      trip = std::unexpected{took.error()};
    good &= check("ping", trip, "the node accepts connections but does not answer: see its log");
  }
  return good ? exit_ok : exit_unavailable;
}

exit_code run_token(const arguments&, const target& t, format how) {
  auto contact = ask_operator_socket(t.admin.port);
  if (!contact)
    return report("token", contact.error());
  if (how == format::json)
    print_json({{"token", contact->token_text}, {"cert_sha256", contact->cert_sha256}});
  else
    std::puts(contact->token_text.c_str());
  return exit_ok;
}

} // namespace ron::cli
