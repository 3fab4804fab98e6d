// ron-node: a node of the content network. Roles, addresses and limits come from configuration.

#include "core/json.hpp"
#include "node/node.hpp"
#include "node/version.hpp"

#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  using namespace ron::core::config;
  const auto command = parse_command_line({argv + 1, static_cast<std::size_t>(argc - 1)},
                                          environment_of(environ), this_host());
  std::fputs(command.out.c_str(), stdout);
  std::fputs(command.err.c_str(), stderr);
  switch (command.mode) {
    case mode::finish:
      return command.exit_code;
    case mode::version:
      std::puts(ron::node::version_text().c_str());
      return exit_ok;
    case mode::version_json:
      std::puts(ron::core::dump_json(ron::node::version_json(true)).c_str());
      return exit_ok;
    case mode::run:
      break;
  }
  return ron::node::run(command);
}
