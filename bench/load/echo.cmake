# Load over TLS and Tor: both ends as programs.
ron_library(ron_load_server SOURCES load/echo_server.cpp PUBLIC ron::transport_actors ron::crypto)
ron_library(ron_load_client SOURCES load/echo_run.cpp load/echo_connection.cpp load/echo_wire.cpp
  PUBLIC ron::crypto ron::oap ron::tor)
foreach(library ron_load_server ron_load_client)
  target_include_directories(${library} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
endforeach()
# The servers as the node is: with its malloc.
ron_program(tls_echo_server SOURCES load/tls_echo_server.cpp LIBS ron::load_server ron::dep_malloc)
ron_program(tls_echo_client SOURCES load/tls_echo_client.cpp LIBS ron::load_client)
ron_program(tor_echo_server SOURCES load/tor_echo_server.cpp
  LIBS ron::load_server ron::tor_actors ron::dep_malloc)
ron_program(tor_echo_client SOURCES load/tor_echo_client.cpp LIBS ron::load_client)
# Any requests through any network, by the SDK.
ron_program(blend_client SOURCES load/blend_client.cpp ${PROJECT_SOURCE_DIR}/sdk/cli/quic_wire.cpp
  LIBS ron::sdk ron::core ron::quic)
target_include_directories(blend_client PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/sdk/cli)
