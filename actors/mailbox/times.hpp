#pragma once

#include <chrono>

namespace ron::mailbox {

/// The longest that callers may ask for; also what a time out of the store is held against, because
/// the wall clock may have been set meanwhile.
inline constexpr std::chrono::hours visibility_max{12};
inline constexpr std::chrono::hours time_to_live_max{14 * 24};
inline constexpr std::chrono::minutes delay_max{15};
inline constexpr std::chrono::hours dedup_window_max{24};

} // namespace ron::mailbox
