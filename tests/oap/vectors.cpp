#include "oap/vectors.hpp"

#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

namespace ron::oap::test {

namespace {

std::ifstream open(const char* name) {
  std::ifstream in{std::string{RON_SOURCE_DIR "/tests/vectors/"} + name};
  if (!in)
    throw std::runtime_error{std::string{"cannot read "} + name};
  return in;
}

} // namespace

std::vector<golden> load_vectors() {
  std::map<std::string, std::string> expected;
  std::string line;
  for (auto in = open("oap1-expected.txt"); std::getline(in, line);)
    if (auto space = line.find(' '); !line.starts_with('#') && space != std::string::npos)
      expected[line.substr(0, space)] = line.substr(space + 1);

  std::vector<golden> out;
  for (auto in = open("oap1-vectors.txt"); std::getline(in, line);) {
    if (line.empty() || line.starts_with('#'))
      continue;
    std::istringstream words{line};
    std::string name, len, hex;
    words >> name >> len >> hex;
    golden g{.name = name, .bytes = from_hex(hex), .expected = expected.at(name)};
    if (len != "len=" + std::to_string(g.bytes.size()))
      throw std::runtime_error{name + ": length differs"};
    if (auto note = g.expected.find(" (after end of input)"); note != std::string::npos) {
      g.expected.resize(note);
      g.at_eof = true;
    }
    expected.erase(name);
    out.push_back(std::move(g));
  }
  if (!expected.empty())
    throw std::runtime_error{expected.begin()->first + ": expected, but there is no vector"};
  return out;
}

} // namespace ron::oap::test
