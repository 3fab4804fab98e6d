#include "core/config_cli.hpp"

#include "core/config_render.hpp"

#include <algorithm>
#include <string_view>
#include <thread>

namespace ron::core::config {

namespace {

using sv = std::string_view;

constexpr sv help_text = R"(Examples
  ron-node                                      a micronode: all roles, RAM only, loopback
  ron-node --config-file=config/omnigate.ini    one role, see the files in config/
  ron-node --http.address=127.0.0.1:0           any free port; the ready line says which
  ron-node --config-file=F --check-config       say all that is wrong with F and stop
  RON_LOG_LEVEL=debug ron-node                  every key has a variable, too

Usage: ron-node [--config-file=F]... [--section.key=value]...

  --config-file=F       read F; may be repeated, the last one wins
  --section.key=value   set a key; beats the environment (RON_SECTION_KEY), which beats files
  --check-config        check everything, bind nothing, write nothing
  --print-config        print every key, its value and where it came from
  --version [--json]    print the version
  --help, -h            print this

Exit codes: 0 ok, 2 unknown option, 78 configuration, 69 address in use or dependency missing,
70 internal, 75 drain cut short. docs/CONFIG.md describes all keys.
)";

constexpr sv flags[] = {"--config-file",  "--check-config", "--print-config",
                        "--version",      "--json",         "--help"};

/// What the arguments say, before any file is read.
struct arguments_view {
  recipe from;
  std::vector<problem> problems;
  bool help = false;
  bool version = false;
  bool json = false;
  bool check = false;
  bool print = false;

  void complain(sv argument, std::string what, std::string expected, sv suggestion = {}) {
    problem p;
    p.place = "command line " + printable(argument);
    p.what = std::move(what);
    p.expected = std::move(expected);
    p.suggestion = suggestion;
    p.usage = true;
    problems.push_back(std::move(p));
  }

  /// A flag without a value; false if `name` is none.
  bool flag(sv name) {
    bool* to = name == "--help" || name == "-h" ? &help
             : name == "--version"              ? &version
             : name == "--json"                 ? &json
             : name == "--check-config"         ? &check
             : name == "--print-config"         ? &print
                                                : nullptr;
    if (to != nullptr)
      *to = true;
    return to != nullptr;
  }

  void key(sv argument, sv name, sv equals_value) {
    if (!equals_value.empty()) {
      from.options.emplace_back(name, equals_value.substr(1));
      return;
    }
    auto known = find_key(name);
    if (!known)
      from.options.emplace_back(name, ""); // reported as unknown with the others
    else if (known->info->rule.type == kind::boolean)
      from.options.emplace_back(name, "true");
    else
      complain(argument, "the value is missing", printable(argument) + "=value");
  }
};

arguments_view read_arguments(std::span<const char* const> arguments) {
  arguments_view out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    sv argument = arguments[i];
    auto equals = std::min(argument.find('='), argument.size());
    auto name = argument.substr(0, equals);
    auto equals_value = argument.substr(equals);
    if (name == "--config-file") {
      sv file = !equals_value.empty()          ? equals_value.substr(1)
              : i + 1 < arguments.size()       ? sv{arguments[++i]}
                                               : sv{};
      if (file.empty())
        out.complain(argument, "the file is missing", "--config-file=F");
      else
        out.from.files.emplace_back(file);
    } else if (out.flag(name)) {
      if (!equals_value.empty())
        out.complain(argument, "the option takes no value", std::string{name});
    } else if (name.starts_with("--") && name.find('.') != sv::npos) {
      out.key(argument, name.substr(2), equals_value);
    } else if (argument.starts_with('-')) {
      out.complain(argument, "unknown option", "--section.key=value or an option of --help",
                   nearest(name, flags));
    } else {
      out.complain(argument, "unexpected argument", "options only");
    }
  }
  if (out.json && !out.version)
    out.complain("--json", "the option is nothing without --version", "--version --json");
  return out;
}

std::string lines(const std::vector<problem>& problems, sv severity) {
  std::string out;
  for (const auto& p : problems)
    out += to_string(p, severity) + '\n';
  return out;
}

} // namespace

command parse_command_line(std::span<const char* const> arguments,
                           std::vector<std::pair<std::string, std::string>> environment,
                           host_facts host) {
  auto view = read_arguments(arguments);
  view.from.environment = std::move(environment);
  view.from.host = host;
  command out;
  if (view.help) {
    out.out = help_text;
    return out;
  }
  if (view.version && view.problems.empty()) {
    out.mode = view.json ? mode::version_json : mode::version;
    return out;
  }
  auto loaded = load_again(view.from);
  auto errors = std::move(view.problems);
  std::ranges::move(loaded.errors, std::back_inserter(errors));
  out.recipe = std::move(view.from);
  if (!errors.empty()) {
    out.err = lines(errors, "error");
    out.exit_code = std::ranges::any_of(errors, &problem::usage) ? exit_usage : exit_config;
    return out;
  }
  out.err = lines(loaded.warnings, "warning");
  if (view.print)
    out.out = print_config(*loaded.config);
  else if (view.check)
    out.out = "configuration ok\n";
  else
    out.mode = mode::run;
  out.config = std::move(loaded.config);
  return out;
}

loaded load_again(const recipe& from) {
  sources s;
  for (const auto& path : from.files) {
    if (auto f = read_config_file(path))
      s.files.push_back(std::move(*f));
    else
      s.file_problems.push_back(std::move(f.error()));
  }
  s.environment = from.environment;
  s.command_line = from.options;
  s.host = from.host;
  return load(s);
}

std::vector<std::pair<std::string, std::string>> environment_of(const char* const* environ) {
  std::vector<std::pair<std::string, std::string>> out;
  for (; environ != nullptr && *environ != nullptr; ++environ) {
    sv text = *environ;
    if (auto equals = text.find('='); equals != sv::npos)
      out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

host_facts this_host() {
  return {std::max(1u, std::thread::hardware_concurrency())};
}

} // namespace ron::core::config
