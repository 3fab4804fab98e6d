#include "storage/replication.hpp"

#include "core/hash.hpp"
#include "core/store/key.hpp"

#include <algorithm>
#include <functional>
#include <ranges>
#include <utility>

namespace ron::storage {

namespace {

core::byte_view view_of(const std::string& s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

std::uint64_t number_of(core::b3::hasher& h) {
  return core::store::load<std::uint64_t>(h.finish());
}

} // namespace

std::vector<std::uint32_t> rank_peers(const core::cid& c, const std::vector<std::string>& peers) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> weights;
  for (const auto& name : peers) {
    core::b3::hasher h;
    h.update(c.view());
    h.update(view_of(name));
    weights.emplace_back(number_of(h), static_cast<std::uint32_t>(weights.size()));
  }
  std::ranges::sort(weights, std::greater{});
  std::vector<std::uint32_t> out;
  for (const auto& [weight, peer] : weights)
    out.push_back(peer);
  return out;
}

peer_key key_of_peer(const std::string& name) {
  core::b3::hasher h;
  h.update(view_of(name));
  return number_of(h);
}

std::uint64_t mark_of(std::uint32_t copies, std::vector<std::string> peers) {
  std::ranges::sort(peers);
  core::b3::hasher h;
  h.update(core::store::key::of(copies));
  for (const auto& name : peers) {
    h.update(view_of(name));
    h.update(core::store::key::of(std::uint8_t{0}));
  }
  return number_of(h);
}

bool too_slow(std::uint64_t bytes, std::chrono::nanoseconds spent,
              std::chrono::seconds grace) noexcept {
  constexpr std::uint64_t rate_min = 256u << 10;
  return spent > grace + std::chrono::seconds{bytes / rate_min};
}

// -- the machine ------------------------------------------------------------------------------

replication_machine::replication_machine(replication_limits limits, std::uint32_t copies,
                                         std::vector<std::string> peers, std::uint64_t seed)
  : limits_(limits), copies_(copies), names_(std::move(peers)), peers_(names_.size()),
    dice_(seed) {
  for (const auto& name : names_)
    keys_.push_back(key_of_peer(name));
}

std::vector<std::uint32_t> replication_machine::peers_for(const work_item& w) const {
  auto out = rank_peers(w.cid, names_);
  // A copy may lie with any peer: other nodes have put it, or there were other peers then.
  if (w.what == duty::copy)
    out.resize(std::min<std::size_t>(out.size(), copies_ - 1));
  std::erase_if(out, [&](auto p) { return std::ranges::contains(w.served, keys_[p]); });
  return out;
}

std::optional<settlement> replication_machine::add(const work_item& w, core::instant now) {
  auto i = items_.find(w.cid);
  if (i != items_.end() && (i->second.what == w.what || i->second.running > 0))
    return std::nullopt;
  auto peers = peers_for(w);
  if (peers.empty()) {
    if (i != items_.end())
      items_.erase(i);
    return settlement{w.cid, w.what};
  }
  if (std::ranges::none_of(peers, [&](auto p) { return peers_[p].due <= now; }))
    return std::nullopt;
  if (i != items_.end())
    i->second = {};
  else if (has_room())
    i = items_.try_emplace(w.cid).first;
  else
    return std::nullopt;
  i->second.what = w.what;
  i->second.peers = std::move(peers);
  return std::nullopt;
}

void replication_machine::drop_waiting() {
  std::erase_if(items_, [](const auto& entry) { return entry.second.running == 0; });
}

void replication_machine::set_copies(std::uint32_t copies) {
  copies_ = copies;
  drop_waiting();
  for (auto& [c, it] : items_)
    if (it.what == duty::copy) {
      it.peers.clear();
      it.outdated = true;
    }
}

std::optional<transfer> replication_machine::next(core::instant now) {
  auto free = [&](std::uint32_t p) { return !peers_[p].busy && peers_[p].due <= now; };
  if (std::ranges::none_of(std::views::iota(0u, static_cast<std::uint32_t>(peers_.size())), free))
    return std::nullopt;
  // Round robin over the objects, so that one that fails again and again keeps nobody waiting.
  auto i = last_ ? items_.upper_bound(*last_) : items_.begin();
  for (std::size_t n = items_.size(); n > 0; --n, ++i) {
    if (i == items_.end())
      i = items_.begin();
    auto& it = i->second;
    if (it.due > now || (it.what == duty::repair && it.running > 0))
      continue;
    auto p = std::ranges::find_if(it.peers, free);
    if (p == it.peers.end())
      continue;
    transfer out{i->first, it.what, *p};
    it.peers.erase(p);
    ++it.running;
    peers_[out.peer].busy = true;
    last_ = i->first;
    return out;
  }
  return std::nullopt;
}

/// A peer that does not work is left alone, whatever the object was.
void replication_machine::rate_peer(std::uint32_t peer, transfer_outcome how, core::instant now) {
  auto& p = peers_[peer];
  p.busy = false;
  if (how == transfer_outcome::unreachable || how == transfer_outcome::turned_away)
    p.due = retry_at(++p.failures, now);
  else
    p.failures = 0;
  p.probe_due = std::max(p.due, now + limits_.probe_every);
}

std::optional<settlement> replication_machine::done(const transfer& t, transfer_outcome how,
                                                    core::instant now) {
  rate_peer(t.peer, how, now);
  auto i = items_.find(t.cid);
  if (i == items_.end())
    return std::nullopt;
  auto& it = i->second;
  --it.running;
  if (it.outdated && how != transfer_outcome::pointless) {
    if (it.running == 0)
      items_.erase(i);
    return how == transfer_outcome::done
             ? std::optional{settlement{t.cid, t.what, keys_[t.peer]}}
             : std::nullopt;
  }
  const bool repairing = it.what == duty::repair;
  switch (how) {
    case transfer_outcome::done:
      if (repairing)
        it.peers.clear();
      break;
    case transfer_outcome::pointless:
      it.peers.clear();
      // The object was gone. If it is put again before the others are through, the work list has a
      // copy to make for which this one does not count.
      it.outdated = it.what == duty::copy && it.running > 0;
      break;
    case transfer_outcome::missing:
      if (repairing) {
        if (it.peers.empty()) { // nobody has it now
          it.peers = peers_for({t.cid, t.what});
          put_off(it, now);
        }
        return std::nullopt;
      }
      [[fallthrough]];
    case transfer_outcome::refused:
      put_off(it, now);
      [[fallthrough]];
    case transfer_outcome::turned_away:
    case transfer_outcome::unreachable:
      it.peers.push_back(t.peer);
      return std::nullopt;
  }
  if (it.running == 0 && it.peers.empty()) {
    items_.erase(i);
    return settlement{t.cid, t.what, {}, how == transfer_outcome::pointless};
  }
  // What one peer has done is remembered: it is not asked again after a restart.
  return how == transfer_outcome::done
           ? std::optional{settlement{t.cid, t.what, keys_[t.peer]}}
           : std::nullopt;
}

std::optional<std::uint32_t> replication_machine::probe(core::instant now) {
  for (std::uint32_t n = 0; n < peers_.size(); ++n) {
    auto& p = peers_[n];
    if (p.busy || p.due > now || p.probe_due > now)
      continue;
    p.busy = true;
    return n;
  }
  return std::nullopt;
}

void replication_machine::probed(std::uint32_t peer, transfer_outcome how, core::instant now) {
  rate_peer(peer, how, now);
}

core::instant::duration replication_machine::rest_of(std::uint32_t peer,
                                                     core::instant now) const noexcept {
  return std::max(core::instant::duration{}, peers_[peer].due - now);
}

core::instant replication_machine::retry_at(std::uint32_t failures, core::instant now) {
  const auto factor = std::int64_t{1} << std::min(failures - 1, 20u);
  const std::chrono::milliseconds doubled = limits_.retry_base * factor;
  const auto longest = std::min(limits_.retry_max, doubled);
  std::uniform_int_distribution<std::int64_t> pick{0, longest.count()};
  return now + std::chrono::milliseconds{pick(dice_)};
}

} // namespace ron::storage
