#pragma once

#include "contact.hpp"
#include "options.hpp"

#include <span>
#include <string_view>

namespace ron::cli {

/// One command of ronctl.
struct command {
  std::string_view name;                ///< "put", "mb send"
  std::string_view usage;               ///< what follows the name
  std::string_view summary;             ///< one line
  std::string_view examples;            ///< shown first in its help
  std::span<const option_spec> options; ///< besides `common_options`
  std::size_t positional_min;
  std::size_t positional_max;
  exit_code (*run)(const arguments& args, const target& t, format how);
};

/// All commands, in the order of the help.
std::span<const command> commands();

// -- put.cpp, get.cpp -------------------------------------------------------------
exit_code run_put(const arguments& args, const target& t, format how);
exit_code run_get(const arguments& args, const target& t, format how);

// -- names.cpp -------------------------------------------------------------------
exit_code run_publish(const arguments& args, const target& t, format how);
exit_code run_unpublish(const arguments& args, const target& t, format how);
exit_code run_resolve(const arguments& args, const target& t, format how);
exit_code run_view(const arguments& args, const target& t, format how);
exit_code run_names(const arguments& args, const target& t, format how);

// -- objects.cpp -----------------------------------------------------------------
exit_code run_rm(const arguments& args, const target& t, format how);
exit_code run_pin(const arguments& args, const target& t, format how);
exit_code run_unpin(const arguments& args, const target& t, format how);
exit_code run_pins(const arguments& args, const target& t, format how);
exit_code run_scrub(const arguments& args, const target& t, format how);
exit_code run_replication(const arguments& args, const target& t, format how);

// -- mail.cpp --------------------------------------------------------------------
exit_code run_send(const arguments& args, const target& t, format how);
exit_code run_recv(const arguments& args, const target& t, format how);
exit_code run_ack(const arguments& args, const target& t, format how);
exit_code run_nack(const arguments& args, const target& t, format how);
exit_code run_peek(const arguments& args, const target& t, format how);
exit_code run_dead(const arguments& args, const target& t, format how);
exit_code run_redrive(const arguments& args, const target& t, format how);
exit_code run_topic_stats(const arguments& args, const target& t, format how);

// -- stores.cpp ------------------------------------------------------------------
exit_code run_store_backup(const arguments& args, const target& t, format how);
exit_code run_store_verify(const arguments& args, const target& t, format how);
exit_code run_store_compact(const arguments& args, const target& t, format how);

// -- watch.cpp -------------------------------------------------------------------
exit_code run_watch(const arguments& args, const target& t, format how);

// -- node.cpp --------------------------------------------------------------------
exit_code run_actors(const arguments& args, const target& t, format how);
exit_code run_ping(const arguments& args, const target& t, format how);
exit_code run_doctor(const arguments& args, const target& t, format how);
exit_code run_token(const arguments& args, const target& t, format how);

} // namespace ron::cli
