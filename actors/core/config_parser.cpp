#include "core/config_parser.hpp"

#include <algorithm>

namespace ron::core::config {

namespace {

using sv = std::string_view;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

/// A position in the text; knows its line and column.
class cursor {
public:
  explicit cursor(sv text) : text_(text) {}

  bool at_end() const { return pos_ == text_.size(); }
  char peek() const { return at_end() ? '\n' : text_[pos_]; }
  bool at_line_end() const { return peek() == '\n'; }
  void next() {
    if (at_end())
      return;
    if (text_[pos_++] == '\n') {
      ++line_;
      line_start_ = pos_;
    }
  }
  std::uint32_t line() const { return line_; }
  std::uint32_t col() const { return static_cast<std::uint32_t>(pos_ - line_start_ + 1); }
  void skip_blanks() {
    while (!at_end() && is_blank(peek()))
      next();
  }
  void skip_line() {
    while (!at_line_end())
      next();
  }
  /// Blanks, line ends and comments: what may stand between the items of a list.
  void skip_gap() {
    while (!at_end()) {
      if (peek() == ';')
        skip_line();
      else if (is_blank(peek()) || peek() == '\n')
        next();
      else
        return;
    }
  }
  std::string_view take_while(auto ok) {
    auto from = pos_;
    while (!at_end() && ok(peek()))
      next();
    return text_.substr(from, pos_ - from);
  }

private:
  sv text_;
  std::size_t pos_ = 0;
  std::size_t line_start_ = 0;
  std::uint32_t line_ = 1;
};

struct scan_error {
  std::uint32_t line;
  std::uint32_t col;
  value_error why;
};

template <class T>
using scanned = std::expected<T, scan_error>;

std::unexpected<scan_error> bad(const cursor& at, std::string what, std::string expected,
                                std::string suggestion = {}) {
  return std::unexpected{scan_error{
    at.line(), at.col(), {std::move(what), std::move(expected), std::move(suggestion)}}};
}

constexpr sv comment_hint = "\"#\" starts no comment here";
constexpr sv brace_hint = "braces are not part of the syntax";

/// `"text"` or `'text'`; a backslash takes the next quote or backslash as it is.
scanned<raw_value::item> scan_quoted(cursor& in) {
  auto start = in;
  char quote = in.peek();
  in.next();
  raw_value::item out{{}, true};
  while (in.peek() != quote) {
    if (in.at_line_end())
      return bad(start, "the quote is not closed",
                 std::string{"another "} + quote + " on this line");
    if (in.peek() == '\\') {
      auto escape = in;
      in.next();
      if (in.peek() != '"' && in.peek() != '\'' && in.peek() != '\\')
        return bad(escape, "an unknown escape", R"(\" or \\)");
    }
    out.text += in.peek();
    in.next();
  }
  in.next();
  return out;
}

/// Text without quotes up to `stop`, a comment or the end of the line.
scanned<raw_value::item> scan_bare(cursor& in, sv stop) {
  auto start = in;
  auto text = in.take_while(
    [&](char c) { return c != '\n' && c != ';' && stop.find(c) == sv::npos; });
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  if (auto i = text.find_first_of("#{}[]\"'"); i != sv::npos) {
    auto at = start;
    for (std::size_t k = 0; k < i; ++k)
      at.next();
    if (text[i] == '#')
      return bad(at, std::string{comment_hint}, "; before a comment, or quotes around the value");
    if (text[i] == '{' || text[i] == '}')
      return bad(at, std::string{brace_hint}, "[section] lines and key = value");
    return bad(at, std::string{"a "} + text[i] + " inside of the value", "quotes around the value");
  }
  return raw_value::item{std::string{text}, false};
}

scanned<raw_value> scan_list(cursor& in) {
  auto start = in;
  raw_value out;
  out.list = true;
  in.next();
  for (in.skip_gap(); in.peek() != ']'; in.skip_gap()) {
    if (in.at_end())
      return bad(start, "the list is not closed", "]");
    if (out.items.size() == list_items_max)
      return bad(in, "the list is too long",
                 "at most " + std::to_string(list_items_max) + " items");
    auto item = in.peek() == '"' || in.peek() == '\'' ? scan_quoted(in) : scan_bare(in, ",]");
    if (!item)
      return std::unexpected{item.error()};
    if (item->text.empty() && !item->quoted)
      return bad(in, "an item is missing", "a value before the comma");
    out.items.push_back(std::move(*item));
    in.skip_gap();
    if (in.peek() == ',')
      in.next();
    else if (in.at_end())
      return bad(start, "the list is not closed", "]");
    else if (in.peek() != ']')
      return bad(in, "a comma is missing", ", or ]");
  }
  in.next();
  return out;
}

/// One value; what follows it on the line must be a comment.
scanned<raw_value> scan_value(cursor& in) {
  auto start = in;
  raw_value out;
  if (in.peek() == '[') {
    auto list = scan_list(in);
    if (!list)
      return list;
    out = std::move(*list);
  } else {
    bool quoted = in.peek() == '"' || in.peek() == '\'';
    auto item = quoted ? scan_quoted(in) : scan_bare(in, "");
    if (!item)
      return std::unexpected{item.error()};
    if (item->text.empty() && !quoted)
      return bad(start, "the value is missing", "key = value");
    out.items.push_back(std::move(*item));
  }
  in.skip_blanks();
  if (in.peek() == '#')
    return bad(in, std::string{comment_hint}, "; before a comment");
  if (!in.at_line_end() && in.peek() != ';')
    return bad(in, "text after the value", "the end of the line or a ; comment");
  return out;
}

/// The parser of one file.
class parser {
public:
  parser(sv name, sv text) : name_(printable(name)), in_(text) {}

  parsed_file run() {
    while (!in_.at_end() && out_.problems.size() < problems_max) {
      statement();
      in_.skip_line();
      in_.next();
    }
    return std::move(out_);
  }

private:
  enum class where { at_start, in_section, bad_section };

  void report(std::uint32_t line, std::uint32_t col, std::string key, value_error why) {
    problem p;
    p.place = name_ + ':' + std::to_string(line) + ':' + std::to_string(col);
    if (out_.problems.size() + 1 == problems_max)
      why = {"there are more errors in this file", "these to be corrected first", {}};
    p.section = section_;
    p.key = std::move(key);
    p.what = std::move(why.what);
    p.expected = std::move(why.expected);
    p.suggestion = std::move(why.suggestion);
    out_.problems.push_back(std::move(p));
  }
  void report_here(value_error why, std::string key = {}) {
    report(in_.line(), in_.col(), std::move(key), std::move(why));
  }

  void statement() {
    in_.skip_blanks();
    if (in_.peek() == '[') {
      if (!section())
        return;
      in_.skip_blanks();
    }
    char c = in_.peek();
    if (c == '\n' || c == ';')
      return;
    if (c == '#')
      return report_here({std::string{comment_hint}, "; before a comment", {}});
    if (c == '{' || c == '}')
      return report_here({std::string{brace_hint}, "[section] lines and key = value", {}});
    if (!is_name_char(c)) {
      auto text = std::string{"\""} + printable(sv{&c, 1}) + '"';
      return report_here({text + " starts neither a section nor a key", "[section] or key = value",
                          {}});
    }
    assignment();
  }

  bool section() {
    auto start = in_;
    in_.next();
    in_.skip_blanks();
    auto name = in_.take_while(is_name_char);
    in_.skip_blanks();
    section_.clear();
    if (in_.peek() != ']' || !is_dotted_name(name)) {
      in_ = start;
      report_here({"this is no section", "[section]", {}});
      place_ = where::bad_section;
      return false;
    }
    in_.next();
    section_ = name;
    place_ = where::in_section;
    return true;
  }

  static bool is_dotted_name(sv name) {
    return !name.empty() && name.size() <= name_bytes_max && name.front() != '.' &&
           name.back() != '.' && name.find("..") == sv::npos;
  }

  void assignment() {
    entry e;
    e.line = in_.line();
    e.col = in_.col();
    auto key = std::string{in_.take_while(is_name_char)};
    in_.skip_blanks();
    auto shown = printable(key);
    if (in_.peek() == '{')
      return report_here({std::string{brace_hint}, '[' + shown + "] on a line of its own", {}});
    if (in_.peek() != '=')
      return report_here({"there is no = behind the key", shown + " = value", {}}, shown);
    in_.next();
    in_.skip_blanks();
    e.value_line = in_.line();
    e.value_col = in_.col();
    auto value = scan_value(in_);
    if (!value)
      return report(value.error().line, value.error().col, shown, std::move(value.error().why));
    if (!is_dotted_name(key))
      return report(e.line, e.col, shown,
                    {"this is no name of a key", "letters, digits and -", {}});
    if (place_ == where::bad_section)
      return; // the section was reported, its keys cannot be told
    if (place_ == where::at_start)
      return report(e.line, e.col, shown,
                    {"the key is outside of a section", "a [section] line above it", {}});
    if (out_.entries.size() == file_keys_max)
      return report(e.line, e.col, shown,
                    {"the file has too many keys", "at most " + std::to_string(file_keys_max), {}});
    e.name = section_ + '.' + key;
    e.value = std::move(*value);
    out_.entries.push_back(std::move(e));
  }

  std::string name_;
  cursor in_;
  std::string section_;
  where place_ = where::at_start;
  parsed_file out_;
};

} // namespace

std::string to_string(const problem& x, sv severity) {
  auto out = x.place + ": " + std::string{severity} + ": ";
  if (!x.section.empty())
    out += '[' + x.section + ']' + (x.key.empty() ? "" : " ");
  out += x.key;
  if (!x.section.empty() || !x.key.empty())
    out += ": ";
  out += x.what;
  if (!x.expected.empty())
    out += "; expected " + x.expected;
  if (!x.suggestion.empty())
    out += "; did you mean " + x.suggestion;
  return out;
}

void set_name(problem& x, sv full_name) {
  auto dot = std::min(full_name.find('.'), full_name.size());
  x.section = printable(full_name.substr(0, dot));
  x.key = dot == full_name.size() ? std::string{} : printable(full_name.substr(dot + 1));
}

parsed_file parse_ini(sv name, sv text) {
  auto whole = [&](std::string what, std::string expected) {
    parsed_file out;
    problem p;
    p.place = printable(name) + ":1:1";
    p.what = std::move(what);
    p.expected = std::move(expected);
    out.problems.push_back(std::move(p));
    return out;
  };
  if (text.size() > file_bytes_max)
    return whole("the file is too large", "at most " + print_size(file_bytes_max));
  if (text.starts_with("\xef\xbb\xbf"))
    return whole("the file starts with a byte order mark", "UTF-8 without one");
  return parser{name, text}.run();
}

std::expected<raw_value, value_error> parse_text(sv text) {
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  if (!text.empty() && (text[0] == '[' || text[0] == '"' || text[0] == '\'')) {
    cursor in{text};
    auto out = scan_value(in);
    if (!out)
      return std::unexpected{std::move(out.error().why)};
    return std::move(*out);
  }
  raw_value out;
  out.loose = true;
  out.items.push_back({std::string{text}, false});
  return out;
}

} // namespace ron::core::config
