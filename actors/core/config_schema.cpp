#include "core/config_schema.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace ron::core::config {

namespace {

using sv = std::string_view;

constexpr std::size_t member_bytes_max = 64;

constexpr key_alias caf_aliases[] = {
  {"scheduler.max-threads", "node.shards"},
  {"middleman.heartbeat-interval", "cluster.heartbeat"},
  {"middleman.connection-timeout", "cluster.down-after"},
  {"openssl.certificate", "cluster.cert"},
  {"openssl.key", "cluster.key"},
  {"openssl.cafile", "cluster.ca"},
};

// RON_INDEX_DB, the other alias of the requirement documents, is what index.db is called anyway.
constexpr key_alias variable_aliases[] = {
  {"OMNIGATE_INFLIGHT_MAX", "omnigate.inflight-max"},
};

constexpr key_replacement replaced[] = {
  {"scheduler.", "node.shards and scheduler.max-throughput (the shards are the scheduler)"},
  {"work-stealing.", "node.shards (the shards do not steal)"},
  {"stream.", "oap.ack-window and oap.receive-budget"},
  {"logger.", "log.level, log.format and log.level.<component>"},
  {"middleman.app-identifier", "cluster.ca (only nodes of one authority can connect)"},
  {"middleman.", "cluster.address, cluster.heartbeat and cluster.down-after"},
  {"openssl.passphrase", "cluster.key, unencrypted and readable by the node alone"},
  {"openssl.", "cluster.ca, cluster.cert and cluster.key"},
  {"config-file", "--config-file on the command line"},
};

struct family {
  const key_info* info;
  sv head; ///< up to the free part
  sv tail; ///< behind it
};

/// Lookup tables over the schema, made once.
struct tables {
  std::vector<key_info> keys;
  std::map<std::string, const key_info*, std::less<>> by_name;
  std::map<std::string, const key_info*, std::less<>> by_variable;
  std::vector<family> families;

  tables() {
    for (auto part : {edge_keys(), transport_keys(), service_keys(), store_keys()})
      keys.insert(keys.end(), part.begin(), part.end());
    for (const auto& k : keys) {
      if (k.is_family()) {
        auto open = k.name.find('<');
        families.push_back({&k, k.name.substr(0, open), k.name.substr(k.name.find('>') + 1)});
      } else {
        by_name.emplace(k.name, &k);
        by_variable.emplace(environment_name(k.name), &k);
      }
    }
    for (const auto& a : caf_aliases)
      by_name.emplace(a.alias, by_name.find(a.name)->second);
    for (const auto& a : variable_aliases)
      by_variable.emplace(a.alias, by_name.find(a.name)->second);
  }
};

const tables& index_of_schema() {
  static const tables t;
  return t;
}

bool is_member(const key_info& k, sv member) {
  if (!k.members.empty())
    return std::ranges::find(k.members, member) != k.members.end();
  // Types of actors have dots; a name with something behind it cannot have any.
  bool dots = k.name.ends_with('>');
  auto ok = [dots](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || (dots && c == '.');
  };
  return !member.empty() && member.size() <= member_bytes_max && member[0] >= 'a' &&
         member[0] <= 'z' && member.back() != '.' && member.find("..") == sv::npos &&
         std::ranges::all_of(member, ok);
}

/// The member if `text` is `head member tail`.
std::optional<sv> between(sv text, sv head, sv tail) {
  if (text.size() <= head.size() + tail.size() || !text.starts_with(head) || !text.ends_with(tail))
    return std::nullopt;
  return text.substr(head.size(), text.size() - head.size() - tail.size());
}

std::string lower(sv text) {
  std::string out{text};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return out;
}

} // namespace

std::string key_info::full_name(sv member) const {
  auto open = name.find('<');
  if (open == sv::npos)
    return std::string{name};
  std::string out{name.substr(0, open)};
  out += member;
  out += name.substr(name.find('>') + 1);
  return out;
}

std::span<const key_info> schema() {
  return index_of_schema().keys;
}

std::span<const key_alias> file_aliases() {
  return caf_aliases;
}

std::span<const key_alias> environment_aliases() {
  return variable_aliases;
}

std::span<const key_replacement> replacements() {
  return replaced;
}

std::optional<key_ref> find_key(sv full_name) {
  const auto& t = index_of_schema();
  if (auto i = t.by_name.find(full_name); i != t.by_name.end())
    return key_ref{i->second, {}};
  for (const auto& f : t.families)
    if (auto m = between(full_name, f.head, f.tail); m && is_member(*f.info, *m))
      return key_ref{f.info, std::string{*m}};
  return std::nullopt;
}

std::optional<key_ref> find_environment(sv name) {
  const auto& t = index_of_schema();
  if (auto i = t.by_variable.find(name); i != t.by_variable.end())
    return key_ref{i->second, {}};
  for (const auto& f : t.families) {
    auto head = environment_name(f.head);
    auto tail = environment_name(f.tail).substr(4); // without RON_
    if (auto m = between(name, head, tail)) {
      auto member = lower(*m);
      if (is_member(*f.info, member))
        return key_ref{f.info, member};
    }
  }
  return std::nullopt;
}

sv replacement_of(sv full_name) {
  for (const auto& r : replaced)
    if (r.prefix.ends_with('.') ? full_name.starts_with(r.prefix) : full_name == r.prefix)
      return r.use;
  return {};
}

std::string environment_name(sv full_name) {
  std::string out = "RON_";
  for (char c : full_name)
    out += c == '.' || c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

namespace {

/// Keeps the nearest of all candidates; the first one wins a tie.
struct best_match {
  std::string name;
  std::size_t distance = SIZE_MAX;

  void offer(std::size_t d, std::string candidate) {
    if (d < distance) {
      distance = d;
      name = std::move(candidate);
    }
  }
};

} // namespace

std::string suggest_key(sv full_name) {
  if (full_name.empty() || full_name.size() > member_bytes_max)
    return {};
  auto text = lower(full_name);
  auto dot = text.find('.');
  auto key = dot == std::string::npos ? sv{text} : sv{text}.substr(dot + 1);
  best_match best;
  for (const auto& k : schema()) {
    if (k.is_family()) {
      for (auto m : k.members)
        best.offer(edit_distance(text, k.full_name(m)), k.full_name(m));
      continue;
    }
    best.offer(edit_distance(text, k.name), std::string{k.name});
    // The right key in the wrong section, or without one, is as near as one typing error.
    if (auto d = edit_distance(key, k.key()); d <= 1 && key.size() > 2)
      best.offer(d + 2, std::string{k.name});
  }
  auto limit = std::max<std::size_t>(2, text.size() / 4);
  return best.distance <= limit ? best.name : std::string{};
}

} // namespace ron::core::config
