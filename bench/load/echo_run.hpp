#pragma once

#include "load/echo_connection.hpp"
#include "load/flags.hpp"

#include <netinet/in.h>

#include <map>
#include <string>

namespace ron::load {

/// The flags that every echo client has, with their defaults.
std::map<std::string, std::string, std::less<>> echo_flags();
/// Their part of the usage.
extern const std::string_view echo_usage;

/// What the flags ask for; the wire and who says HELLO are the caller's. Ends the program if they
/// make no sense.
workload workload_of(const flags& f);

/// An IPv4 address and a port.
sockaddr_in target_of(const flags& f, std::string_view name);

/// Dials, works for the time that the flags give, prints the JSON line. The program's exit code:
/// 1 if anything failed.
int run_echo(const flags& f, workload work, const sockaddr_in& to);

} // namespace ron::load
