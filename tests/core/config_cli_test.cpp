#include "core/config_cli.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

/// What `ron-node` makes of its arguments.
namespace ron::core::config {

namespace {

namespace fs = std::filesystem;
using variables = std::vector<std::pair<std::string, std::string>>;

command run(std::vector<const char*> arguments, variables environment = {}) {
  return parse_command_line(arguments, std::move(environment), {2});
}

class ConfigCli : public testing::Test {
protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& text) {
    auto path = folder_ / name;
    std::ofstream{path} << text;
    return path.string();
  }

  fs::path folder_ = fs::temp_directory_path() /
                     ("config_cli_test." + std::to_string(::getpid()));
};

} // namespace

TEST_F(ConfigCli, RunsWithoutArguments) {
  auto c = run({});
  EXPECT_EQ(c.mode, mode::run);
  EXPECT_EQ(c.exit_code, 0);
  ASSERT_TRUE(c.config);
  EXPECT_EQ(c.config->node.shards, 2u);
  EXPECT_EQ(c.out + c.err, "");
}

TEST_F(ConfigCli, TakesFilesOptionsAndVariables) {
  auto a = "--config-file=" + file("a.ini", "[omnigate]\nrate = 1/s\nburst = 1\n");
  auto b = file("b.ini", "[omnigate]\nrate = 2/s\n[dht]\nk = 7\n");
  auto c = run({a.c_str(), "--config-file", b.c_str(), "--http.address=127.0.0.1:0",
                "--http.allow-plain"},
               {{"RON_OMNIGATE_BURST", "9"}});
  ASSERT_TRUE(c.config) << c.err;
  EXPECT_EQ(c.mode, mode::run);
  EXPECT_EQ(c.config->omnigate.rate, 2u);
  EXPECT_EQ(c.config->omnigate.burst, 9u);
  EXPECT_TRUE(c.config->http.allow_plain);
  EXPECT_EQ(c.config->http.address->port, 0u);
  EXPECT_EQ(c.err, b + ":4:5: warning: [dht] k: has no effect in this version\n");
}

TEST_F(ConfigCli, UnknownOptionsExitWith2) {
  auto c = run({"--chek-config", "extra", "--http.adress=x", "-v", "--json", "--check-config=1",
                "--http.address", "--config-file="});
  EXPECT_EQ(c.exit_code, exit_usage);
  EXPECT_EQ(c.mode, mode::finish);
  EXPECT_EQ(c.out, "");
  EXPECT_EQ(c.err,
            "command line --chek-config: error: unknown option; expected --section.key=value or an "
            "option of --help; did you mean --check-config\n"
            "command line extra: error: unexpected argument; expected options only\n"
            "command line -v: error: unknown option; expected --section.key=value or an option of "
            "--help\n"
            "command line --check-config=1: error: the option takes no value; expected "
            "--check-config\n"
            "command line --http.address: error: the value is missing; expected "
            "--http.address=value\n"
            "command line --config-file=: error: the file is missing; expected --config-file=F\n"
            "command line --json: error: the option is nothing without --version; expected "
            "--version "
            "--json\n"
            "command line --http.adress: error: [http] adress: unknown key; expected a key of "
            "[http]; "
            "did you mean --http.address\n");
}

TEST_F(ConfigCli, BadValuesOfAnySourceExitWith78) {
  EXPECT_EQ(run({"--omnigate.rate=fast"}).exit_code, exit_config);
  EXPECT_EQ(run({}, {{"RON_OMNIGATE_RATE", "fast"}}).exit_code, exit_config);
  EXPECT_EQ(run({}, {{"RON_NO_SUCH", "1"}}).exit_code, exit_config);
  auto f = "--config-file=" + file("f.ini", "[omnigate]\nrate = fast\n");
  EXPECT_EQ(run({f.c_str()}).exit_code, exit_config);
  EXPECT_EQ(run({f.c_str(), "--bogus"}).exit_code, exit_usage) << "both: it is the command line";
}

TEST_F(ConfigCli, FilesThatCannotBeRead) {
  auto missing = folder_ / "missing.ini";
  auto c = run({"--config-file", missing.c_str(), "--omnigate.rate=fast"});
  EXPECT_EQ(c.exit_code, exit_config);
  EXPECT_EQ(c.err, missing.string() + ":1:1: error: the file cannot be read: No such file or "
                                      "directory; "
                                      "expected a readable file of at most 1MiB\n"
                                      "command line --omnigate.rate: error: [omnigate] rate: "
                                      "\"fast\" is "
                                      "not a rate; expected a rate from 1/s to 10000000/s\n");
  EXPECT_EQ(run({"--config-file", folder_.c_str()}).exit_code, exit_config);
  auto endless = run({"--config-file=/dev/zero"});
  EXPECT_EQ(endless.exit_code, exit_config);
  EXPECT_NE(endless.err.find("the file is too large"), std::string::npos);
}

TEST_F(ConfigCli, ChecksAndPrints) {
  auto c = run({"--check-config", "--dht.k=7"});
  EXPECT_EQ(c.mode, mode::finish);
  EXPECT_EQ(c.exit_code, 0);
  EXPECT_EQ(c.out, "configuration ok\n");
  EXPECT_EQ(c.err, "command line --dht.k: warning: [dht] k: has no effect in this version\n");
  auto p = run({"--print-config", "--omnigate.rate=2000/s"});
  EXPECT_EQ(p.exit_code, 0);
  EXPECT_NE(p.out.find("rate = 2000/s ; command line --omnigate.rate\n"), std::string::npos);
  EXPECT_EQ(run({"--check-config", "--omnigate.rate=0"}).exit_code, exit_config);
}

TEST_F(ConfigCli, VersionAndHelp) {
  EXPECT_EQ(run({"--version"}).mode, mode::version);
  EXPECT_EQ(run({"--version", "--json"}).mode, mode::version_json);
  EXPECT_EQ(run({"--version", "--bogus"}).exit_code, exit_usage);
  auto help = run({"--bogus", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_TRUE(help.out.starts_with("Examples\n"));
  EXPECT_EQ(run({"-h"}).out, help.out);
  EXPECT_EQ(run({"--version"}, {{"RON_NO_SUCH", "1"}}).mode, mode::version) << "asks no variable";
}

TEST_F(ConfigCli, LoadsAgainFromTheSameFiles) {
  auto path = file("f.ini", "[omnigate]\nrate = 1/s\n");
  auto c = run({"--config-file", path.c_str(), "--omnigate.burst=7"});
  ASSERT_TRUE(c.config);
  file("f.ini", "[omnigate]\nrate = 2/s\nburst = 8\n");
  auto again = load_again(c.recipe);
  ASSERT_TRUE(again.config);
  auto changes = diff(*c.config, *again.config);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].name, "omnigate.rate");
  EXPECT_EQ(changes[0].on_reload, reload_effect::at_once);
}

TEST_F(ConfigCli, ReadsTheEnvironmentBlock) {
  const char* const block[] = {"A=1", "B==x", "odd", "C=", nullptr};
  EXPECT_EQ(environment_of(block), (variables{{"A", "1"}, {"B", "=x"}, {"C", ""}}));
  EXPECT_TRUE(environment_of(nullptr).empty());
}

} // namespace ron::core::config
