# Load over TLS: both ends as programs.
ron_program(tls_echo_server SOURCES load/tls_echo_server.cpp LIBS ron::transport_actors)
ron_program(tls_echo_client SOURCES load/tls_echo_client.cpp load/echo_connection.cpp
  LIBS ron::crypto ron::oap)
foreach(program tls_echo_server tls_echo_client)
  target_include_directories(${program} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
endforeach()
