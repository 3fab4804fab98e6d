#pragma once

#include "core/json.hpp"

#include <cmath>
#include <cstdint>
#include <random>
#include <string>

namespace ron::core::test {

struct random_json_options {
  bool binary = true; ///< byte strings too
  int depth_max = 6;
};

/// Makes a value of every kind that both formats carry, the same one for the same seed.
class random_json_source {
public:
  random_json_source(std::uint32_t seed, random_json_options o) : random_(seed), options_(o) {
    // nop
  }

  json value(int depth = 0) {
    auto kinds = depth < options_.depth_max ? 8u : 6u;
    switch (below(kinds)) {
      case 0: return nullptr;
      case 1: return below(2) == 1;
      case 2: return integer();
      case 3: return real();
      case 4: return text();
      case 5: return options_.binary ? binary() : json(text());
      case 6: {
        auto out = json::array();
        for (auto n = below(5); n > 0; --n)
          out.push_back(value(depth + 1));
        return out;
      }
      default: {
        auto out = json::object();
        for (auto n = below(5); n > 0; --n)
          out[text()] = value(depth + 1);
        return out;
      }
    }
  }

private:
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }

  json integer() {
    auto bits = random_() >> below(64); // all widths alike
    if (below(2) == 0)
      return bits;
    return -1 - static_cast<std::int64_t>(bits >> 1);
  }

  json real() {
    switch (below(4)) {
      case 0: return static_cast<double>(below(2048)) / 8;
      case 1: return static_cast<double>(static_cast<float>(below(1'000'000)) / 3.0f);
      case 2: return -std::ldexp(1.0 + below(1024) / 1024.0, static_cast<int>(below(60)) - 30);
      default:
        return std::ldexp(static_cast<double>(random_()), static_cast<int>(below(1800)) - 900);
    }
  }

  std::string text() {
    static constexpr const char* pieces[]
      = {"a", "key", "\"", "\\", "\n", "\x1b", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
         "\x7f", " ", "long enough to leave the small buffer of a string"};
    std::string out;
    for (auto n = below(6); n > 0; --n)
      out += pieces[below(std::size(pieces))];
    return out;
  }

  json binary() {
    json::binary_t::container_type out(below(300));
    for (auto& b : out)
      b = static_cast<std::uint8_t>(random_());
    return json::binary(std::move(out));
  }

  std::mt19937_64 random_;
  random_json_options options_;
};

inline json random_json(std::uint32_t seed, random_json_options o = {}) {
  return random_json_source{seed, o}.value();
}

} // namespace ron::core::test
