#include "commands.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "output.hpp"

namespace ron::cli {

using core::json;

namespace {

std::string text_of(const json& v) {
  if (v.is_string())
    return v.get<std::string>();
  return v.is_null() ? "-" : core::dump_json(v);
}

std::string key_of(const std::string& text) {
  return text.starts_with("b3:") || text.starts_with("name:") ? text : "name:" + text;
}

/// Prints a map as two columns, or as JSON.
void print_map(const json& map, format how) {
  if (how == format::json)
    return print_json(map);
  std::vector<std::vector<std::string>> rows;
  for (const auto& [k, v] : map.items())
    rows.push_back({k, text_of(v)});
  print_table({"FIELD", "VALUE"}, rows);
}

exit_code call_and_print(const target& t, format how, const std::string& doing,
                         const std::string& operation, const json& args) {
  auto client = connect(t);
  if (!client)
    return report(doing, client.error());
  auto answer = client->call(operation, args);
  if (!answer)
    return report(doing, answer.error());
  print_map(*answer, how);
  return exit_ok;
}

} // namespace

exit_code run_publish(const arguments& args, const target& t, format how) {
  json call{{"name", args.positional[0]}, {"cid", args.positional[1]}};
  const auto doing = "publish " + args.positional[0];
  if (!core::cid::parse(args.positional[1]))
    return report(doing, {core::ec::bad_request,
                          args.positional[1] + " is no id; expected b3:<64 lower-case hex>"});
  if (args.has("--if-new"))
    call["_if"] = "absent";
  else if (args.has("--if-version"))
    call["_if"] = args.get("--if-version");
  return call_and_print(t, how, doing, "name.put", call);
}

exit_code run_unpublish(const arguments& args, const target& t, format how) {
  json call{{"name", args.positional[0]}};
  if (args.has("--if-version"))
    call["_if"] = args.get("--if-version");
  const auto doing = "unpublish " + args.positional[0];
  auto client = connect(t);
  if (!client)
    return report(doing, client.error());
  if (auto answer = client->call("name.del", call); !answer)
    return report(doing, answer.error());
  if (how == format::json)
    print_json(call);
  return exit_ok;
}

exit_code run_resolve(const arguments& args, const target& t, format how) {
  return call_and_print(t, how, "resolve " + args.positional[0], "resolve",
                        {{"key", key_of(args.positional[0])}});
}

exit_code run_view(const arguments& args, const target& t, format how) {
  const auto& path = args.positional[0];
  const auto slash = path.find('/');
  if (slash == path.npos || slash + 1 == path.size())
    return report("view " + path, {core::ec::bad_request, "expected VIEW/ID, e.g. object/alice/x"});
  return call_and_print(t, how, "view " + path, "view",
                        {{"view", path.substr(0, slash)}, {"id", path.substr(slash + 1)}});
}

exit_code run_names(const arguments& args, const target& t, format how) {
  json call = json::object();
  if (!args.positional.empty())
    call["prefix"] = args.positional[0];
  auto limit = parse_number("--limit", args.get("--limit", "100"), 1, 1'000);
  if (!limit)
    return report("names", limit.error());
  call["limit"] = *limit;
  auto client = connect(t);
  if (!client)
    return report("names", client.error());
  auto answer = client->call("name.list", call);
  if (!answer)
    return report("names", answer.error());
  if (how == format::json) {
    print_json(*answer);
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& item : answer->at("items"))
    rows.push_back(
        {text_of(item.at("name")), text_of(item.at("version")), text_of(item.at("cid"))});
  print_table({"NAME", "VERSION", "ID"}, rows);
  return exit_ok;
}

} // namespace ron::cli
