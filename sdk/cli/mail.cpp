#include "commands.hpp"
#include "core/json.hpp"
#include "output.hpp"

namespace ron::cli {

using core::json;

namespace {

core::result<json> call(const target& t, const std::string& operation, const json& args) {
  auto client = connect(t);
  if (!client)
    return std::unexpected{client.error()};
  return client->call(operation, args);
}

} // namespace

exit_code run_recv(const arguments& args, const target& t, format how) {
  const auto doing = "mb recv " + args.positional[0];
  auto max = parse_number("--max", args.get("--max", "10"), 1, 100);
  if (!max)
    return report(doing, max.error());
  auto wait = parse_number("--wait", args.get("--wait", "0"), 0, 30);
  if (!wait)
    return report(doing, wait.error());
  auto patient = t;
  patient.timeout += std::chrono::seconds{*wait};
  json map{{"topic", args.positional[0]}, {"max", *max}, {"wait_s", *wait}};
  if (args.has("--visibility")) {
    auto ms = parse_number("--visibility", args.get("--visibility"), 250, 43'200'000);
    if (!ms)
      return report(doing, ms.error());
    map["visibility_ms"] = *ms;
  }
  auto answer = call(patient, "mb.recv", map);
  if (!answer)
    return report(doing, answer.error());
  if (how == format::json) {
    print_json(*answer);
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& m : answer->at("messages"))
    rows.push_back({m.at("message_id").get<std::string>(), m.at("receipt").get<std::string>(),
                    core::dump_json(m.at("attempt")), payload_text(m.at("payload"))});
  print_table({"MESSAGE", "RECEIPT", "ATTEMPT", "PAYLOAD"}, rows);
  return exit_ok;
}

namespace {

exit_code settle(const std::string& operation, const std::string& doing, const arguments& args,
                 const target& t, format how) {
  json receipts = json::array();
  for (std::size_t i = 1; i < args.positional.size(); ++i)
    receipts.push_back(args.positional[i]);
  auto answer = call(t, operation, {{"topic", args.positional[0]}, {"receipts", receipts}});
  if (!answer)
    return report(doing + ' ' + args.positional[0], answer.error());
  bool all_ok = true;
  std::vector<std::vector<std::string>> rows;
  for (const auto& r : answer->at("results")) {
    rows.push_back({r.at("receipt").get<std::string>(), r.at("status").get<std::string>()});
    all_ok = all_ok && rows.back()[1] == "ok";
  }
  if (how == format::json)
    print_json(*answer);
  else
    print_table({"RECEIPT", "STATUS"}, rows);
  return all_ok ? exit_ok : exit_failed;
}

exit_code print_heads(const std::string& operation, const std::string& doing,
                      const arguments& args, const target& t, format how) {
  auto limit = parse_number("--limit", args.get("--limit", "100"), 1, 1'000);
  if (!limit)
    return report(doing, limit.error());
  auto answer = call(t, operation, {{"topic", args.positional[0]}, {"limit", *limit}});
  if (!answer)
    return report(doing + ' ' + args.positional[0], answer.error());
  if (how == format::json) {
    print_json(*answer);
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& m : answer->at("items"))
    rows.push_back({m.at("message_id").get<std::string>(),
                    m.at("key").is_null() ? "-" : m.at("key").get<std::string>(),
                    core::dump_json(m.at("attempts")), core::dump_json(m.at("size"))});
  print_table({"MESSAGE", "KEY", "ATTEMPTS", "SIZE"}, rows);
  return exit_ok;
}

} // namespace

exit_code run_ack(const arguments& args, const target& t, format how) {
  return settle("mb.ack", "mb ack", args, t, how);
}

exit_code run_nack(const arguments& args, const target& t, format how) {
  return settle("mb.nack", "mb nack", args, t, how);
}

exit_code run_peek(const arguments& args, const target& t, format how) {
  return print_heads("mb.peek", "mb peek", args, t, how);
}

exit_code run_dead(const arguments& args, const target& t, format how) {
  return print_heads("mb.dlq", "mb dlq", args, t, how);
}

exit_code run_redrive(const arguments& args, const target& t, format how) {
  constexpr std::uint64_t at_once = 1'000;
  std::uint64_t sum = 0;
  for (std::uint64_t n = at_once; n == at_once; sum += n) {
    auto answer = call(t, "mb.redrive", {{"topic", args.positional[0]}, {"max", at_once}});
    if (!answer)
      return report("mb redrive " + args.positional[0], answer.error());
    n = answer->at("messages").get<std::uint64_t>();
  }
  if (how == format::json)
    print_json({{"messages", sum}});
  else
    print_table({"MESSAGES"}, {{std::to_string(sum)}});
  return exit_ok;
}

exit_code run_topic_stats(const arguments& args, const target& t, format how) {
  auto answer = call(t, "mb.stats", {{"topic", args.positional[0]}});
  if (!answer)
    return report("mb stats " + args.positional[0], answer.error());
  if (how == format::json) {
    print_json(*answer);
    return exit_ok;
  }
  std::vector<std::string> row;
  for (const auto* name : {"waiting", "in_flight", "dead", "bytes", "oldest_ms"})
    row.push_back(answer->at(name).is_null() ? "-" : core::dump_json(answer->at(name)));
  print_table({"WAITING", "IN FLIGHT", "DEAD", "BYTES", "OLDEST MS"}, {row});
  return exit_ok;
}

} // namespace ron::cli
