#include "commands.hpp"
#include "core/json.hpp"
#include "output.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

namespace ron::cli {

using core::json;

namespace {

/// Calls `operation` for each id, over one connection; the worst outcome is the exit code.
/// `row` turns an answer into cells.
template <class Row>
exit_code for_each(const arguments& args, const target& t, format how, const std::string& verb,
                   const std::string& operation, std::vector<std::string> head, Row row) {
  auto client = connect(t);
  if (!client)
    return report(verb, client.error());
  auto worst = exit_ok;
  json all = json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& id : args.positional) {
    auto answer = client->call(operation, {{"cid", id}});
    if (!answer) {
      worst = std::max(worst, report(verb + ' ' + id, answer.error()));
      continue;
    }
    rows.push_back(row(id, *answer));
    all.push_back(answer->is_object() && !answer->empty() ? *answer : json{{"cid", id}});
  }
  if (how == format::json)
    print_json(all);
  else if (!rows.empty() && !head.empty())
    print_table(head, rows);
  return worst;
}

std::vector<std::string> pin_row(const std::string& id, const json& answer) {
  return {id, human_bytes(answer.at("size").get<std::uint64_t>()),
          core::dump_json(answer.at("pins"))};
}

} // namespace

exit_code run_rm(const arguments& args, const target& t, format how) {
  return for_each(args, t, how, "rm", "o.del", {},
                  [](const std::string& id, const json&) { return std::vector{id}; });
}

exit_code run_pin(const arguments& args, const target& t, format how) {
  return for_each(args, t, how, "pin", "o.pin", {"ID", "SIZE", "PINS"}, pin_row);
}

exit_code run_unpin(const arguments& args, const target& t, format how) {
  return for_each(args, t, how, "unpin", "o.unpin", {"ID", "SIZE", "PINS"}, pin_row);
}

exit_code run_pins(const arguments&, const target& t, format how) {
  auto client = connect(t);
  if (!client)
    return report("pins", client.error());
  json all = json::array();
  std::vector<std::vector<std::string>> rows;
  for (json call = json::object();;) {
    auto page = client->call("o.pins", call);
    if (!page)
      return report("pins", page.error());
    for (const auto& item : page->at("items")) {
      rows.push_back(pin_row(item.at("cid").get<std::string>(), item));
      all.push_back(item);
    }
    const auto& next = page->at("next_cursor");
    if (!next.is_string())
      break;
    call["cursor"] = next;
  }
  if (how == format::json)
    print_json({{"items", all}});
  else
    print_table({"ID", "SIZE", "PINS"}, rows);
  return exit_ok;
}

namespace {

/// How often a running scrub is asked for its end.
constexpr std::chrono::milliseconds poll{200};

void print_scrub(const json& s, format how) {
  if (how == format::json)
    return print_json(s);
  const auto pass = s.at("pass").get<std::uint64_t>();
  std::printf("%s\n", pass == 0 ? "never" : s.at("running").get<bool>() ? "running" : "finished");
  print_table({"PASS", "OBJECTS", "BYTES", "DAMAGED"},
              {{std::to_string(pass), core::dump_json(s.at("objects")),
                human_bytes(s.at("bytes").get<std::uint64_t>()),
                core::dump_json(s.at("corrupt"))}});
  for (const auto& c : s.at("damaged"))
    std::printf("damaged: %s\n", c.get_ref<const std::string&>().c_str());
}

} // namespace

exit_code run_scrub(const arguments& args, const target& t, format how) {
  auto client = connect(t);
  if (!client)
    return report("scrub", client.error());
  const bool start = !args.has("--status");
  auto s = client->call("o.scrub", {{"start", start}});
  if (!s)
    return report("scrub", s.error());
  const auto pass = s->at("pass");
  while (start && s->at("running").get<bool>() && s->at("pass") == pass) {
    std::this_thread::sleep_for(poll);
    s = client->call("o.scrub", json::object());
    if (!s)
      return report("scrub", s.error());
  }
  print_scrub(*s, how);
  return s->at("corrupt").get<std::uint64_t>() == 0 ? exit_ok : exit_failed;
}

exit_code run_replication(const arguments&, const target& t, format how) {
  auto client = connect(t);
  if (!client)
    return report("replication", client.error());
  auto s = client->call("o.replication", json::object());
  if (!s)
    return report("replication", s.error());
  if (how == format::json) {
    print_json(*s);
    return exit_ok;
  }
  auto number = [&](const char* key) { return core::dump_json(s->at(key)); };
  std::printf("copies  %.3f of %s\n", s->at("rf_observed").get<double>(),
              number("rf_target").c_str());
  std::printf("waiting  %s objects to be copied or repaired, %s deletions to be told\n",
              number("pending").c_str(), number("releases").c_str());
  std::printf("since start  %s copies, %s repairs, %s\n", number("copies").c_str(),
              number("repairs").c_str(), human_bytes(s->at("bytes").get<std::uint64_t>()).c_str());
  std::vector<std::vector<std::string>> rows;
  for (const auto& p : s->at("peers"))
    rows.push_back({p.at("address").get<std::string>(), p.at("up").get<bool>() ? "up" : "down",
                    core::dump_json(p.at("failures")),
                    std::to_string(p.value("unproven", std::uint64_t{0})),
                    p.at("why").get<std::string>()});
  print_table({"PEER", "STATE", "FAILURES", "UNPROVEN", "WHY"}, rows);
  return exit_ok;
}

} // namespace ron::cli
