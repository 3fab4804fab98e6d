# Load over QUIC: both ends as programs.
ron_program(quic_echo_server SOURCES load/quic_echo_server.cpp LIBS ron::quic_actors ron::dep_malloc)
ron_program(quic_echo_client SOURCES load/quic_echo_client.cpp LIBS ron::quic ron::oap)
foreach(program quic_echo_server quic_echo_client)
  target_include_directories(${program} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
endforeach()
