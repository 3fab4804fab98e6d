#include "output.hpp"

#include "core/json.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace ron::cli {

namespace {

constexpr std::chrono::milliseconds redraw_every{100};
constexpr std::size_t bar_width = 30;

bool is_number(std::string_view s) {
  return !s.empty() && std::ranges::all_of(s, [](char c) {
    return (c >= '0' && c <= '9') || c == '.' || c == '%';
  });
}

std::string advice(core::ec code) {
  switch (code) {
  case core::ec::unauth:
    return "; for a node on another machine give --cap FILE, for a local one check --admin";
  case core::ec::degraded:
    return "; try `ronctl doctor`";
  case core::ec::quota:
  case core::ec::busy:
  case core::ec::draining:
    return "; try again later";
  case core::ec::store_quota:
    return "; delete something or raise storage.quota";
  case core::ec::downstream_timeout:
    return "; the node is slow or gone, try `ronctl doctor`";
  default:
    return {};
  }
}

} // namespace

std::string payload_text(const core::json& payload) {
  if (!payload.is_binary())
    return core::dump_json(payload);
  const auto& raw = payload.get_binary();
  std::string text{raw.begin(), raw.end()};
  for (char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return '(' + std::to_string(raw.size()) + " bytes)";
  return text;
}

void print_table(const std::vector<std::string>& columns,
                 const std::vector<std::vector<std::string>>& rows) {
  if (::isatty(STDOUT_FILENO) == 0) {
    for (const auto& row : rows) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i)
        line += (i == 0 ? "" : "\t") + row[i];
      std::puts(line.c_str());
    }
    return;
  }
  std::vector<std::size_t> width(columns.size());
  std::vector<bool> right(columns.size(), !rows.empty());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    width[i] = columns[i].size();
    for (const auto& row : rows) {
      width[i] = std::max(width[i], row[i].size());
      right[i] = right[i] && is_number(row[i]);
    }
  }
  auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string pad(width[i] - row[i].size(), ' ');
      line += (i == 0 ? "" : "  ") + (right[i] ? pad + row[i] : row[i] + pad);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::puts(line.c_str());
  };
  print(columns);
  for (const auto& row : rows)
    print(row);
}

void print_json(const core::json& value) {
  std::puts(core::dump_json(value).c_str());
}

exit_code report(std::string_view doing, const core::error& why) {
  std::fprintf(stderr, "ronctl: %.*s: %s%s\n", static_cast<int>(doing.size()), doing.data(),
               why.message.empty() ? std::string{to_string(why.code)}.c_str() : why.message.c_str(),
               advice(why.code).c_str());
  return exit_code_of(why.code);
}

std::string human_bytes(std::uint64_t n) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto v = static_cast<double>(n);
  std::size_t unit = 0;
  while (v >= 1024 && unit + 1 < std::size(units)) {
    v /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", v, units[unit]);
  return text;
}

std::string human_time(std::chrono::nanoseconds d) {
  const auto ms = std::chrono::duration<double, std::milli>(d).count();
  char text[32];
  if (ms < 1'000)
    std::snprintf(text, sizeof text, "%.1f ms", ms);
  else
    std::snprintf(text, sizeof text, "%.1f s", ms / 1'000);
  return text;
}

progress::progress(std::uint64_t files, std::uint64_t bytes)
    : shown_(::isatty(STDERR_FILENO) != 0), files_(files), bytes_(bytes),
      start_(std::chrono::steady_clock::now()) {
  // nop
}

progress::~progress() {
  draw(true);
}

void progress::add_bytes(std::uint64_t n) {
  bytes_done_ += n;
  draw(false);
}

void progress::add_file() {
  ++files_done_;
  draw(false);
}

void progress::draw(bool last) {
  if (!shown_)
    return;
  std::lock_guard guard{mutex_};
  const auto now = std::chrono::steady_clock::now();
  if (!last && now - drawn_ < redraw_every)
    return;
  drawn_ = now;
  const double share =
      bytes_ == 0 ? (last ? 1 : 0)
                  : std::min(1.0, static_cast<double>(bytes_done_) / static_cast<double>(bytes_));
  const auto filled = static_cast<std::size_t>(share * bar_width);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const auto rate = seconds > 0
                        ? static_cast<std::uint64_t>(static_cast<double>(bytes_done_) / seconds)
                        : std::uint64_t{0};
  const std::string bar = std::string(filled, '#') + std::string(bar_width - filled, '.');
  std::fprintf(stderr, "\r[%s] %3.0f %%  %llu/%llu files  %s  %s/s \033[K%s", bar.c_str(),
               share * 100, static_cast<unsigned long long>(files_done_.load()),
               static_cast<unsigned long long>(files_), human_bytes(bytes_done_).c_str(),
               human_bytes(rate).c_str(), last ? "\n" : "");
}

} // namespace ron::cli
