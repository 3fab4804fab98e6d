// ronctl: the command line client of a RON node.

#include "commands.hpp"
#include "output.hpp"

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace ron::cli;

void print_options(std::span<const option_spec> options) {
  for (const auto& o : options) {
    auto left = std::string{o.name} + (o.value.empty() ? "" : " ") + std::string{o.value};
    left.resize(std::max<std::size_t>(left.size(), 24), ' ');
    std::printf("  %s %.*s\n", left.c_str(), static_cast<int>(o.help.size()), o.help.data());
  }
}

void print_overview() {
  std::puts("Examples:\n"
            "  ronctl put photo.jpg                  store a file, print its id\n"
            "  ronctl publish alice/photo b3:...     give it a name\n"
            "  ronctl get alice/photo -o copy.jpg    fetch and check it\n"
            "  ronctl doctor                         when nothing works\n"
            "\nUsage: ronctl COMMAND [OPTIONS] ...\n");
  for (const auto& c : commands()) {
    auto left = std::string{c.name} + ' ' + std::string{c.usage};
    left.resize(std::max<std::size_t>(left.size(), 26), ' ');
    std::printf("  %s %.*s\n", left.c_str(), static_cast<int>(c.summary.size()), c.summary.data());
  }
  std::puts("\nOptions of every command:");
  print_options(common_options);
  std::puts("\nExit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 unavailable or late");
}

void print_help(const command& c) {
  std::printf("Examples:\n%.*s\nUsage: ronctl %.*s [OPTIONS] %.*s\n  %.*s\n\nOptions:\n",
              static_cast<int>(c.examples.size()), c.examples.data(),
              static_cast<int>(c.name.size()), c.name.data(), static_cast<int>(c.usage.size()),
              c.usage.data(), static_cast<int>(c.summary.size()), c.summary.data());
  print_options(c.options);
  print_options(common_options);
}

int usage_error(const std::string& why) {
  std::fprintf(stderr, "ronctl: %s; see ronctl --help\n", why.c_str());
  return exit_usage;
}

/// The command that `words` begin with, and how many words its name has.
const command* find(const std::vector<std::string>& words, std::size_t& used) {
  for (const auto& c : commands()) {
    const bool two = c.name.find(' ') != c.name.npos;
    if (two && words.size() >= 2 && c.name == words[0] + ' ' + words[1]) {
      used = 2;
      return &c;
    }
    if (!two && c.name == words[0]) {
      used = 1;
      return &c;
    }
  }
  return nullptr;
}

int run(const command& c, const std::vector<std::string>& words) {
  // A command's own option hides a common one of the same name (-o of get).
  std::vector<option_spec> specs{c.options.begin(), c.options.end()};
  specs.insert(specs.end(), common_options.begin(), common_options.end());
  auto args = parse_arguments(words, specs);
  if (!args)
    return usage_error(args.error().message);
  if (args->has("--help")) {
    print_help(c);
    return exit_ok;
  }
  if (args->positional.size() < c.positional_min || args->positional.size() > c.positional_max)
    return usage_error("usage: ronctl " + std::string{c.name} + ' ' + std::string{c.usage});
  auto how = format::table;
  const bool own_o = !c.options.empty() && c.run == run_get;
  if (const auto text = args->get("-o", "table"); !own_o && text == "json")
    how = format::json;
  else if (!own_o && text != "table")
    return usage_error("-o: expected table or json");
  auto t = target_of(*args);
  if (!t)
    return usage_error(t.error().message);
  return c.run(*args, *t, how);
}

} // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::vector<std::string> words{argv + 1, argv + argc};
  if (words.empty() || words[0] == "--help" || words[0] == "help") {
    print_overview();
    return words.empty() ? exit_usage : exit_ok;
  }
  if (words[0] == "--version") {
    std::puts("ronctl " RON_VERSION);
    return exit_ok;
  }
  std::size_t used = 0;
  const auto* c = find(words, used);
  if (!c)
    return usage_error("unknown command " + words[0]);
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(used));
  return run(*c, words);
}
