#include "transport/tor/control_reader.hpp"

#include <algorithm>
#include <utility>

namespace ron::transport::tor {

namespace {

constexpr std::size_t status_digits = 3;

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// The value between quotes that begins at `text[0]`.
std::string unquoted(std::string_view text) {
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"')
      return out;
    if (text[i] == '\\' && ++i == text.size())
      break;
    out += text[i];
  }
  return {};
}

} // namespace

bool control_reader::feed(core::byte_view in, std::vector<control_reply>& out) {
  for (const auto byte : in) {
    if (++bytes_ > reply_bytes_max)
      return false;
    if (byte != '\n') {
      if (line_.size() == line_bytes_max)
        return false;
      line_ += static_cast<char>(byte);
      continue;
    }
    if (line_.empty() || line_.back() != '\r')
      return false;
    line_.pop_back();
    if (!take_line(out))
      return false;
    line_.clear();
  }
  return true;
}

bool control_reader::take_line(std::vector<control_reply>& out) {
  if (in_data_) {
    in_data_ = line_ != ".";
    return true;
  }
  if (line_.size() <= status_digits || !std::all_of(line_.begin(), line_.begin() + 3, is_digit))
    return false;
  const auto status =
    static_cast<std::uint16_t>((line_[0] - '0') * 100 + (line_[1] - '0') * 10 + (line_[2] - '0'));
  if (reply_.lines.size() == lines_max || (!reply_.lines.empty() && status != reply_.status))
    return false;
  reply_.status = status;
  reply_.lines.push_back(line_.substr(status_digits + 1));
  switch (line_[status_digits]) {
  case '-':
    return true;
  case '+':
    in_data_ = true;
    return true;
  case ' ':
    out.push_back(std::exchange(reply_, {}));
    bytes_ = 0;
    return true;
  default:
    return false;
  }
}

std::string word_value(std::string_view line, std::string_view key) {
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins = i == 0 || line[i - 1] == ' ';
    const auto rest = line.substr(i);
    if (!quoted && begins && rest.starts_with(key) && rest.substr(key.size()).starts_with('=')) {
      const auto value = rest.substr(key.size() + 1);
      return value.starts_with('"') ? unquoted(value)
                                    : std::string{value.substr(0, value.find(' '))};
    }
    if (line[i] == '\\' && quoted)
      ++i;
    else if (line[i] == '"')
      quoted = !quoted;
  }
  return {};
}

} // namespace ron::transport::tor
