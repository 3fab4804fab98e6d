#include "index/store.hpp"

#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace ron::index {

namespace {

using core::ec;
using core::fail;
using core::result;

class ram_store final : public store {
public:
  ram_store(ram_store_limits limits, const core::clock& clock) : limits_(limits), clock_(clock) {
    // nop
  }

  void put(put_name w, written<name_written> then) override { then(put_now(std::move(w))); }
  void del(del_name w, written<name_record> then) override { then(del_now(w)); }
  void put_manifest(core::cid c, std::string manifest, written<void> then) override {
    then(put_manifest_now(c, std::move(manifest)));
  }

  result<name_record> find(std::string_view name) override {
    std::shared_lock guard{mutex_};
    auto i = names_.find(name);
    if (i == names_.end())
      return fail(ec::not_found, "no such name");
    return i->second;
  }

  result<name_page> list(std::string_view prefix, std::string_view after,
                         std::size_t limit) override {
    std::shared_lock guard{mutex_};
    name_page page;
    auto i = after < prefix ? names_.lower_bound(prefix) : names_.upper_bound(after);
    for (; i != names_.end() && i->first.starts_with(prefix); ++i) {
      if (page.items.size() == limit) {
        page.next = page.items.back().name;
        break;
      }
      page.items.push_back(i->second);
    }
    return page;
  }

  result<bool> named(const core::cid& c) override {
    std::shared_lock guard{mutex_};
    return names_of_.contains(c);
  }

  result<std::string> manifest(const core::cid& c) override {
    std::shared_lock guard{mutex_};
    auto i = manifests_.find(c);
    if (i == manifests_.end())
      return fail(ec::not_found, "no manifest is known for this object");
    return i->second;
  }

private:
  static constexpr std::uint64_t entry_overhead = 240; ///< tree node, record, count, allocator

  static std::uint64_t cost(const name_record& r) { return entry_overhead + 2 * r.name.size(); }

  result<name_written> put_now(put_name w) {
    std::unique_lock guard{mutex_};
    auto i = names_.find(w.name);
    const bool created = i == names_.end();
    auto current = created ? std::nullopt : std::optional{i->second.version};
    if (auto ok = w.when.check(current); !ok)
      return std::unexpected{ok.error()};
    name_record record{std::move(w.name), w.cid, 0, clock_.wall_ms(), w.ttl_s};
    const auto extra = (created ? cost(record) : 0)
                       + (w.manifest.empty() ? 0 : entry_overhead + w.manifest.size());
    if (bytes_ + extra > limits_.bytes_max || (created && names_.size() >= limits_.names_max))
      return full();
    record.version = ++version_;
    if (created)
      bytes_ += cost(record);
    if (!w.manifest.empty())
      keep_manifest(w.cid, std::move(w.manifest));
    if (!created)
      count_out(i->second.cid);
    ++names_of_[record.cid];
    auto name = record.name;
    auto& kept = names_.insert_or_assign(std::move(name), std::move(record)).first->second;
    return name_written{kept, created};
  }

  result<name_record> del_now(const del_name& w) {
    std::unique_lock guard{mutex_};
    auto i = names_.find(w.name);
    if (i == names_.end()) {
      if (auto ok = w.when.check(std::nullopt); !ok)
        return std::unexpected{ok.error()};
      return fail(ec::not_found, "no such name");
    }
    if (auto ok = w.when.check(i->second.version); !ok)
      return std::unexpected{ok.error()};
    auto gone = std::move(i->second);
    names_.erase(i);
    bytes_ -= cost(gone);
    count_out(gone.cid);
    return gone;
  }

  result<void> put_manifest_now(const core::cid& c, std::string manifest) {
    std::unique_lock guard{mutex_};
    if (bytes_ + entry_overhead + manifest.size() > limits_.bytes_max)
      return std::unexpected{full().error()};
    keep_manifest(c, std::move(manifest));
    return {};
  }

  void count_out(const core::cid& c) {
    if (auto i = names_of_.find(c); i != names_of_.end() && --i->second == 0)
      names_of_.erase(i);
  }

  void keep_manifest(const core::cid& c, std::string manifest) {
    auto [i, fresh] = manifests_.try_emplace(c);
    bytes_ -= fresh ? 0 : entry_overhead + i->second.size();
    bytes_ += entry_overhead + manifest.size();
    i->second = std::move(manifest);
  }

  std::unexpected<core::error> full() const {
    return fail(ec::store_quota, "the index is full: " + std::to_string(names_.size()) + " names, "
                                   + std::to_string(bytes_) + " bytes in RAM");
  }

  const ram_store_limits limits_;
  const core::clock& clock_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, name_record, std::less<>> names_;
  std::unordered_map<core::cid, std::string> manifests_;
  std::unordered_map<core::cid, std::size_t> names_of_; ///< never more than `names_`
  std::uint64_t bytes_ = 0;
  std::uint64_t version_ = 0;
};

} // namespace

std::unique_ptr<store> make_ram_store(ram_store_limits limits, const core::clock& clock) {
  return std::make_unique<ram_store>(limits, clock);
}

} // namespace ron::index
