#include "core/config_load.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace ron::core::config {

namespace {

using sv = std::string_view;

/// One value from one source, its key known.
struct setting {
  key_ref key;
  raw_value value;
  origin from;
};

bool same_key(const key_ref& a, const key_ref& b) {
  return a.info == b.info && a.member == b.member;
}

std::string place_of(sv file, std::uint32_t line, std::uint32_t col) {
  return printable(file) + ':' + std::to_string(line) + ':' + std::to_string(col);
}

/// `[http] address`, as a suggestion in a file.
std::string in_brackets(sv full_name) {
  problem p;
  set_name(p, full_name);
  return '[' + p.section + "] " + p.key;
}

/// Collects settings in the order of their precedence, lowest first, and what is wrong with them.
class collector {
public:
  explicit collector(std::vector<problem>& errors) : errors_(errors) {}

  void file(const source_file& f) {
    auto parsed = parse_ini(f.name, f.text);
    auto first = errors_.size();
    std::ranges::move(parsed.problems, std::back_inserter(errors_));
    std::vector<std::pair<key_ref, const entry*>> seen;
    for (const auto& e : parsed.entries) {
      if (is_full(first))
        return;
      problem p;
      p.place = place_of(f.name, e.line, e.col);
      set_name(p, e.name);
      auto key = find_key(e.name);
      if (!key) {
        unknown(p, e.name);
        auto likely = suggest_key(e.name);
        p.suggestion = likely.empty() ? likely : in_brackets(likely);
        add(std::move(p), first);
        continue;
      }
      auto twin = std::ranges::find_if(seen, [&](auto& s) { return same_key(s.first, *key); });
      if (twin != seen.end()) {
        p.what = "the key was set before, in line " + std::to_string(twin->second->line);
        p.expected = "every key once in a file";
        add(std::move(p), first);
        continue;
      }
      seen.emplace_back(*key, &e);
      settings_.push_back({std::move(*key), e.value,
                           {source::file, place_of(f.name, e.value_line, e.value_col)}});
    }
  }

  void environment(const std::vector<std::pair<std::string, std::string>>& variables) {
    auto begin = settings_.size();
    auto first = errors_.size();
    for (const auto& [name, text] : variables) {
      auto key = find_environment(name);
      if ((!key && !name.starts_with("RON_")) || is_full(first))
        continue;
      problem p;
      p.place = "environment " + printable(name);
      if (!key) {
        p.what = "no key has this variable";
        p.expected = "a variable of docs/CONFIG.md, or none that starts with RON_";
        p.suggestion = nearest_variable(name);
        add(std::move(p), first);
        continue;
      }
      set_name(p, key->full_name());
      auto twin = std::find_if(settings_.begin() + static_cast<std::ptrdiff_t>(begin),
                               settings_.end(), [&](auto& s) { return same_key(s.key, *key); });
      if (twin != settings_.end()) {
        p.what = "the key is also set by " + twin->from.text;
        p.expected = "one of the two";
        add(std::move(p), first);
        continue;
      }
      text_value(std::move(p), std::move(*key), text, source::environment, first);
    }
  }

  void command_line(const std::vector<std::pair<std::string, std::string>>& options) {
    auto first = errors_.size();
    for (const auto& [name, text] : options) {
      if (is_full(first))
        return;
      problem p;
      p.place = "command line --" + printable(name);
      set_name(p, name);
      auto key = find_key(name);
      if (!key) {
        unknown(p, name);
        p.usage = true;
        auto likely = suggest_key(name);
        p.suggestion = likely.empty() ? likely : "--" + likely;
        add(std::move(p), first);
        continue;
      }
      text_value(std::move(p), std::move(*key), text, source::command_line, first);
    }
  }

  const std::vector<setting>& settings() const { return settings_; }

private:
  bool is_full(std::size_t first) const { return errors_.size() - first >= problems_max; }

  /// Adds a problem of a source whose problems start at `first`; the last one there is room for
  /// stands for all others.
  void add(problem p, std::size_t first) {
    if (errors_.size() - first + 1 == problems_max)
      p = problem{p.place, {}, {}, "there are more errors behind this one",
                  "those above to be corrected first", {}, p.usage};
    if (!is_full(first))
      errors_.push_back(std::move(p));
  }

  static void unknown(problem& p, sv name) {
    if (auto use = replacement_of(name); !use.empty()) {
      p.what = "this key of CAF is not used here";
      p.expected = use;
      return;
    }
    auto section = name.substr(0, name.find('.'));
    bool known = std::ranges::any_of(schema(), [&](auto& k) { return k.section() == section; });
    p.what = known ? "unknown key" : "unknown section";
    p.expected = known ? "a key of [" + printable(section) + ']' : "a section of docs/CONFIG.md";
  }

  static std::string nearest_variable(const std::string& name) {
    std::string best;
    auto limit = std::max<std::size_t>(3, name.size() / 4 + 1);
    auto offer = [&](std::string candidate) {
      if (auto d = edit_distance(name, candidate); d < limit) {
        limit = d;
        best = std::move(candidate);
      }
    };
    for (const auto& k : schema()) {
      if (!k.is_family())
        offer(environment_name(k.name));
      for (auto m : k.members)
        offer(environment_name(k.full_name(m)));
    }
    return best;
  }

  void text_value(problem p, key_ref key, const std::string& text, source from,
                  std::size_t first) {
    auto value = parse_text(text);
    if (!value) {
      p.what = std::move(value.error().what);
      p.expected = std::move(value.error().expected);
      p.suggestion = std::move(value.error().suggestion);
      return add(std::move(p), first);
    }
    settings_.push_back({std::move(key), std::move(*value), {from, p.place}});
  }

  std::vector<problem>& errors_;
  std::vector<setting> settings_;
};

/// The last valid profile there is: it decides the defaults of everything else.
profile chosen_profile(const std::vector<setting>& settings) {
  auto out = profile::micronode;
  node_config scratch;
  for (const auto& s : settings)
    if (s.key.info->name == "node.profile" &&
        parse_value(s.key.info->rule, s.value, s.key.info->bind(scratch, {})))
      out = scratch.node.profile;
  return out;
}

void set_defaults(node_config& c, profile p) {
  for (const auto& k : schema()) {
    if (k.is_family())
      continue;
    auto text = k.default_text(p);
    auto value = parse_text(text);
    bool fixed = !text.empty() && value && parse_value(k.rule, *value, k.bind(c, {}));
    c.origins[std::string{k.name}] =
      fixed ? origin{} : origin{source::derived, "default: " + std::string{k.derived}};
  }
}

/// Applies settings that `wanted` accepts; reports those that are no value of their type.
void apply(node_config& c, const std::vector<setting>& settings, auto wanted,
           std::vector<problem>* errors, std::vector<std::string>* bad) {
  for (const auto& s : settings) {
    const auto& k = *s.key.info;
    if (!wanted(k))
      continue;
    auto name = s.key.full_name();
    std::expected<void, value_error> ok;
    if (k.is_family()) { // a bad member must not come to life by being looked at
      node_config trial;
      ok = parse_value(k.rule, s.value, k.bind(trial, s.key.member));
    }
    if (ok)
      ok = parse_value(k.rule, s.value, k.bind(c, s.key.member));
    if (ok) {
      c.origins[name] = s.from;
      continue;
    }
    if (errors == nullptr)
      continue;
    problem p;
    p.place = s.from.text;
    set_name(p, name);
    p.what = ok.error().what;
    p.expected = ok.error().expected;
    p.suggestion = ok.error().suggestion;
    errors->push_back(std::move(p));
    bad->push_back(name);
  }
}

/// Warns of keys that were set to something else than what would hold anyway, for nothing.
std::vector<problem> idle_keys(const node_config& c, const std::vector<setting>& settings,
                               const host_facts& host) {
  std::vector<problem> out;
  if (!c.node.roles.has(role::dht) &&
      std::ranges::all_of(settings, [](auto& s) { return s.key.info->acts; }))
    return out;
  node_config plain;
  set_defaults(plain, c.node.profile);
  apply(plain, settings, [](auto& k) { return k.acts; }, nullptr, nullptr);
  derive_defaults(plain, host);
  auto warn = [&](const origin& from, const std::string& name, std::string what) {
    problem p;
    p.place = from.text;
    set_name(p, name);
    p.what = std::move(what);
    out.push_back(std::move(p));
  };
  auto usual = all_values(plain);
  for (const auto& now : all_values(c)) {
    if (now.key.info->acts || now.from.source < source::file)
      continue;
    auto i = std::ranges::find(usual, now.name, &key_value::name);
    if (i == usual.end() || i->value != now.value)
      warn(now.from, now.name, "has no effect in this version");
  }
  if (c.node.roles.has(role::dht))
    warn(c.origins.find("node.roles")->second, "node.roles",
         "the role dht has no effect in this version");
  return out;
}

} // namespace

loaded load(const sources& from) {
  loaded out;
  out.errors = from.file_problems;
  collector all{out.errors};
  for (const auto& f : from.files)
    all.file(f);
  all.environment(from.environment);
  all.command_line(from.command_line);

  auto c = std::make_shared<node_config>();
  std::vector<std::string> bad;
  set_defaults(*c, chosen_profile(all.settings()));
  apply(*c, all.settings(), [](auto&) { return true; }, &out.errors, &bad);
  derive_defaults(*c, from.host);
  check_together(*c, bad, out.errors);
  if (!out.errors.empty())
    return out;
  out.warnings = idle_keys(*c, all.settings(), from.host);
  out.config = std::move(c);
  return out;
}

std::expected<source_file, problem> read_config_file(const std::string& path) {
  auto failed = [&](int code) {
    problem p;
    p.place = printable(path) + ":1:1";
    p.what = std::string{"the file cannot be read: "} + std::strerror(code);
    p.expected = "a readable file of at most " + print_size(file_bytes_max);
    return std::unexpected{p};
  };
  struct closer {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::unique_ptr<std::FILE, closer> in{std::fopen(path.c_str(), "rbe")};
  if (!in)
    return failed(errno);
  source_file out{path, {}};
  char chunk[16384];
  while (out.text.size() <= file_bytes_max) { // one byte too many makes the parser refuse it
    auto n = std::fread(chunk, 1, sizeof chunk, in.get());
    out.text.append(chunk, n);
    if (n < sizeof chunk)
      break;
  }
  if (std::ferror(in.get()))
    return failed(errno);
  return out;
}

std::vector<key_value> all_values(const node_config& c) {
  std::vector<key_value> out;
  auto copy = c; // `bind` gives fields to write to
  auto add = [&](key_ref key, std::string name, const origin& from) {
    auto text = print_value(key.info->rule, key.info->bind(copy, key.member));
    out.push_back({std::move(key), std::move(name), std::move(text), from});
  };
  for (const auto& k : schema()) {
    if (!k.is_family()) {
      auto i = c.origins.find(k.name);
      add({&k, {}}, std::string{k.name}, i == c.origins.end() ? origin{} : i->second);
      continue;
    }
    for (const auto& [name, from] : c.origins)
      if (auto key = find_key(name); key && key->info == &k)
        add(std::move(*key), name, from);
  }
  return out;
}

std::vector<difference> diff(const node_config& before, const node_config& after) {
  auto old_values = all_values(before);
  auto new_values = all_values(after);
  auto value_in = [](const std::vector<key_value>& in, const std::string& name) {
    auto i = std::ranges::find(in, name, &key_value::name);
    return i == in.end() ? std::string{} : i->value;
  };
  std::vector<difference> out;
  for (const auto& x : new_values)
    if (auto was = value_in(old_values, x.name); was != x.value)
      out.push_back({x.name, was, x.value, x.key.info->on_reload});
  for (const auto& x : old_values)
    if (value_in(new_values, x.name).empty())
      out.push_back({x.name, x.value, {}, x.key.info->on_reload});
  return out;
}

} // namespace ron::core::config
