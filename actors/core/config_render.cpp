#include "core/config_render.hpp"

#include <algorithm>
#include <vector>

namespace ron::core::config {

namespace {

using sv = std::string_view;

constexpr std::size_t columns_max = 98;

/// One key that a shipped file sets.
struct preset_value {
  sv name;
  sv text;
};

/// One shipped file.
struct preset {
  sv name;
  sv title;
  config::profile profile;
  std::span<const preset_value> values;
};

constexpr preset_value micronode_values[] = {
  {"node.profile", "micronode"},
  {"admin.address", "\"127.0.0.1:9600\""},
  {"http.address", "\"127.0.0.1:8080\""},
  {"http.tls-address", "\"127.0.0.1:8443\""},
  {"oap.tls-address", "\"127.0.0.1:9443\""},
};
constexpr preset_value omnigate_values[] = {
  {"node.roles", R"(["omnigate"])"},
  {"node.profile", "macronode"},
  {"admin.address", "\"127.0.0.1:9600\""},
  {"http.address", "\"127.0.0.1:8080\""},
  {"http.tls-address", "\"127.0.0.1:8443\""},
  {"oap.tls-address", "\"127.0.0.1:9443\""},
  {"cluster.address", "\"127.0.0.1:9700\""},
  {"cluster.seeds", R"(["127.0.0.1:9701", "127.0.0.1:9702", "127.0.0.1:9703"])"},
};
constexpr preset_value index_values[] = {
  {"node.roles", R"(["index"])"},
  {"node.profile", "macronode"},
  {"admin.address", "\"127.0.0.1:9601\""},
  {"http.address", "\"127.0.0.1:8081\""},
  {"http.tls-address", "\"127.0.0.1:8444\""},
  {"oap.tls-address", "\"127.0.0.1:9444\""},
  {"cluster.address", "\"127.0.0.1:9701\""},
  {"cluster.seeds", R"(["127.0.0.1:9700"])"},
};
constexpr preset_value storage_values[] = {
  {"node.roles", R"(["storage"])"},
  {"node.profile", "macronode"},
  {"admin.address", "\"127.0.0.1:9602\""},
  {"http.address", "\"127.0.0.1:8082\""},
  {"http.tls-address", "\"127.0.0.1:8445\""},
  {"oap.tls-address", "\"127.0.0.1:9445\""},
  {"cluster.address", "\"127.0.0.1:9702\""},
  {"cluster.seeds", R"(["127.0.0.1:9700"])"},
};
constexpr preset_value mailbox_values[] = {
  {"node.roles", R"(["mailbox"])"},
  {"node.profile", "macronode"},
  {"admin.address", "\"127.0.0.1:9603\""},
  {"http.address", "\"127.0.0.1:8083\""},
  {"http.tls-address", "\"127.0.0.1:8446\""},
  {"oap.tls-address", "\"127.0.0.1:9446\""},
  {"cluster.address", "\"127.0.0.1:9703\""},
  {"cluster.seeds", R"(["127.0.0.1:9700"])"},
};

constexpr preset presets[] = {
  {"micronode", "A micronode: all roles in one process, everything in RAM.", profile::micronode,
   micronode_values},
  {"omnigate", "The omnigate of a macronode: the ingress, one process.", profile::macronode,
   omnigate_values},
  {"index", "The index of a macronode: names and manifests, one process.", profile::macronode,
   index_values},
  {"storage", "The storage of a macronode: objects, one process.", profile::macronode,
   storage_values},
  {"mailbox", "The mailbox of a macronode: topics and messages, one process.",
   profile::macronode, mailbox_values},
};

/// Appends `text` as comment lines of at most `columns_max` columns.
void comment(std::string& out, sv text) {
  while (!text.empty()) {
    auto cut = text.size();
    if (cut > columns_max - 2) {
      cut = text.rfind(' ', columns_max - 2);
      cut = cut == sv::npos ? columns_max - 2 : cut;
    }
    out += "; ";
    out += text.substr(0, cut);
    out += '\n';
    text.remove_prefix(cut);
    if (text.starts_with(' '))
      text.remove_prefix(1);
  }
}

/// `RON_HTTP_ADDRESS`; the free part of a family stays in brackets.
std::string variable_of(const key_info& k) {
  auto open = k.name.find('<');
  if (open == sv::npos)
    return environment_name(k.name);
  auto close = k.name.find('>');
  auto free = environment_name(k.name.substr(open + 1, close - open - 1)).substr(4);
  std::ranges::replace(free, ' ', '_');
  return environment_name(k.name.substr(0, open)) + '<' + free + '>' +
         environment_name(k.name.substr(close + 1)).substr(4);
}

/// What a default is: its text, or in words how it comes about.
std::string default_of(const key_info& k, profile p) {
  auto text = k.default_text(p);
  return std::string{text.empty() ? k.derived : text};
}

/// The comment above a key in a shipped file.
void describe(std::string& out, const key_info& k, profile p) {
  comment(out, k.help);
  auto facts = std::string{to_string(k.rule.type)};
  if (auto range = range_text(k.rule); !range.empty())
    facts += ", " + range;
  if (k.on_reload == reload_effect::at_once)
    facts += ", reloadable";
  facts += ", " + variable_of(k);
  comment(out, '(' + facts + ')');
  if (!k.acts)
    comment(out, "Has no effect in this version.");
  if (k.default_text(p).empty())
    comment(out, "Default: " + std::string{k.derived} + '.');
}

/// `key = value` of a shipped file, behind a `;` unless the file sets it.
void assign(std::string& out, const key_info& k, const preset& file) {
  if (k.is_family()) {
    out += "; ";
    out += k.example;
    out += "\n\n";
    return;
  }
  auto set = std::ranges::find(file.values, k.name, &preset_value::name);
  auto text = k.default_text(file.profile);
  if (text.empty())
    text = k.example;
  if (set != file.values.end())
    text = set->text;
  if (set == file.values.end() || !k.acts)
    out += "; ";
  out += k.key();
  out += " = ";
  out += text;
  out += "\n\n";
}

/// Text outside of code, where `<` would begin HTML.
std::string prose(sv text) {
  std::string out;
  for (char c : text) {
    if (c == '<')
      out += '\\';
    out += c;
  }
  return out;
}

std::string code(sv text) {
  std::string out = "`";
  for (char c : text) {
    if (c == '|')
      out += '\\';
    out += c;
  }
  return out + '`';
}

/// The default in the reference: one value, or one of each profile.
std::string default_cell(const key_info& k) {
  auto cell = [&](profile p) {
    auto text = default_of(k, p);
    return k.default_text(p).empty() ? prose(text) : code(text);
  };
  auto micro = cell(profile::micronode);
  auto macro = cell(profile::macronode);
  return micro == macro ? micro : "m " + micro + "<br>M " + macro;
}

std::string reload_cell(reload_effect e) {
  return e == reload_effect::at_once ? "R" : e == reload_effect::next_start ? "S" : "";
}

void reference_row(std::string& out, const key_info& k) {
  auto range = range_text(k.rule);
  out += "| " + code(k.name) + " | " + std::string{to_string(k.rule.type)} +
         (range.empty() ? "" : "<br>" + range) + " | " + default_cell(k) + " | " +
         reload_cell(k.on_reload) + " | " + std::string{k.help} +
         (k.acts ? "" : " *No effect in this version.*") + "<br>" + code(variable_of(k)) +
         " |\n";
}

constexpr sv reference_head = R"(# Configuration

This page is made from the schema in `actors/core/config_keys_*.cpp`; a test compares the two.

    ron-node                                        # a micronode: all roles, RAM only
    ron-node --config-file=config/omnigate.ini      # one role, see the files in config/
    ron-node --http.address=127.0.0.1:0 --omnigate.rate=2000/s
    RON_LOG_LEVEL=debug ron-node
    ron-node --config-file=my.ini --check-config    # says all that is wrong, binds nothing
    ron-node --config-file=my.ini --print-config    # every value and where it came from

## Sources

The command line (`--section.key=value`) beats the environment (`RON_<SECTION>_<KEY>`, dashes and
dots as underscores) beats files (`--config-file=F`, may be repeated, the last one wins) beats
defaults. A key that nobody knows, a value out of its range, a key set twice in a file and an
unknown `RON_` variable are errors; all of them are reported at once, one on a line:

    my.ini:12:7: error: [oap] tor: "yes" is no boolean; expected true or false; did you mean true

`ron-node` exits with 2 after an unknown option and with 78 after any other error of the
configuration. A key that this version accepts but does not act on is reported as a warning when
it is set to something else than its default.

## Files

    ; a comment, also behind a value
    [http]
    address = "127.0.0.1:8080"      ; quotes around text are optional
    uds-peers = [1000, 1001]        ; lists may span lines

Only this: no `#` comments, no braces, no key outside of a section. UTF-8, at most 1 MiB and 2,048
keys. In quotes `\"` and `\\` stand for a quote and a backslash.

| type | values |
|---|---|
| boolean | `true`, `false`; also `on`, `off` |
| size | bytes, or `64KiB`, `1MiB`, `1GiB`, `1TiB` |
| duration | `500ms`, `5s`, `3min`, `24h` |
| rate, byte rate | `500/s`, `16KiB/s` |
| percent | `5 %` |
| address | `127.0.0.1:80`, `[::1]:80` or `localhost:80`; port 0 takes any free one |
| path | a path, or `none` |
| list | `["a", "b"]`; in the environment and on the command line also `a,b` |

## Keys

m: default of a micronode, M: of a macronode (`node.profile`). R: the running node takes over
another value with SIGHUP or `POST /admin/reload`. S: the reload says that it waits for the next
start of the node. Neither: the reload is refused and nothing changes.
)";

} // namespace

std::string print_config(const node_config& c) {
  std::string out;
  sv section;
  for (const auto& v : all_values(c)) {
    if (v.key.info->section() != section) {
      section = v.key.info->section();
      out += out.empty() ? "[" : "\n[";
      out += section;
      out += "]\n";
    }
    out += sv{v.name}.substr(section.size() + 1);
    out += " = " + v.value + " ; " + v.from.text + '\n';
  }
  return out;
}

std::span<const sv> default_file_names() {
  static constexpr sv names[] = {"micronode", "omnigate", "index", "storage", "mailbox"};
  static_assert(std::size(names) == std::size(presets));
  return names;
}

std::string default_file(sv name) {
  auto file = std::ranges::find(presets, name, &preset::name);
  if (file == std::end(presets))
    return {};
  std::string out;
  comment(out, file->title);
  comment(out, "A line of the form \"; key = value\" shows a default, or an example where the "
               "default is computed; remove the \"; \" and change the value to set it. "
               "docs/CONFIG.md has everything in one table.");
  sv section;
  for (const auto& k : schema()) {
    if (k.section() != section) {
      section = k.section();
      out += (out.ends_with("\n\n") ? "[" : "\n[") + std::string{section} + "]\n\n";
    }
    describe(out, k, file->profile);
    assign(out, k, *file);
  }
  while (out.ends_with("\n\n"))
    out.pop_back();
  return out;
}

std::string reference() {
  std::string out{reference_head};
  sv section;
  for (const auto& k : schema()) {
    if (k.section() != section) {
      section = k.section();
      out += "\n### " + std::string{section} +
             "\n\n| key | type, range | default | | what, variable |\n|---|---|---|---|---|\n";
    }
    reference_row(out, k);
  }
  out += "\n## Other names\n\n| name | key |\n|---|---|\n";
  for (const auto& a : file_aliases())
    out += "| " + code(a.alias) + " (CAF) | " + code(a.name) + " |\n";
  for (const auto& a : environment_aliases())
    out += "| " + code(a.alias) + " (environment) | " + code(a.name) + " |\n";
  out += "\nOther keys of CAF are errors:\n\n| key | use instead |\n|---|---|\n";
  for (const auto& r : replacements())
    out += "| " + code(std::string{r.prefix} + (r.prefix.ends_with('.') ? "*" : "")) + " | " +
           prose(r.use) + " |\n";
  return out;
}

} // namespace ron::core::config
