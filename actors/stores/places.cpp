#include "stores/places.hpp"

#include "core/config_load.hpp"

#include <utility>

#include <unistd.h>

namespace ron::stores {

using core::ec;
using core::fail;
using core::result;

namespace {

bool is_store(const std::string& path) {
  return ::access((path + "/data.mdb").c_str(), F_OK) == 0;
}

result<std::vector<place>> those_there(std::vector<place> all, const std::string& where) {
  std::erase_if(all, [](const place& p) { return p.path.empty() || !is_store(p.path); });
  if (all.empty())
    return fail(ec::not_found, "no store lies in " + where
                                 + ": is this the node.data-dir of a node that has run?");
  return all;
}

} // namespace

std::string to_string(kind k) {
  switch (k) {
    case kind::index:
      return "index";
    case kind::storage:
      return "storage";
    case kind::mailbox:
      break;
  }
  return "mailbox";
}

result<std::vector<place>> places_below(const std::string& data_dir) {
  std::vector<place> all;
  for (auto k : {kind::index, kind::storage, kind::mailbox})
    all.push_back({k, data_dir + "/" + to_string(k)});
  return those_there(std::move(all), data_dir);
}

result<std::vector<place>> places_of(const std::string& config_file) {
  auto file = core::config::read_config_file(config_file);
  if (!file)
    return fail(ec::bad_request, to_string(file.error()));
  core::config::sources from;
  from.files.push_back(std::move(*file));
  const auto loaded = core::config::load(from);
  if (!loaded.config)
    return fail(ec::bad_request, to_string(loaded.errors.front()));
  const auto& c = *loaded.config;
  return those_there({{kind::index, c.index.db},
                      {kind::storage, c.storage.db},
                      {kind::mailbox, c.mailbox.db}},
                     "the folders of " + config_file);
}

} // namespace ron::stores
