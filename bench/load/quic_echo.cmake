# Load over QUIC: both ends as programs.
ron_program(quic_echo_server SOURCES load/quic_echo_server.cpp
  LIBS ron::load_server ron::quic_actors ron::dep_malloc)
ron_program(quic_echo_client SOURCES load/quic_echo_client.cpp LIBS ron::quic ron::oap)
# What a well-behaved client does not do, for tests.
ron_program(quic_probe SOURCES load/quic_probe.cpp LIBS ron::quic ron::oap)
foreach(program quic_echo_server quic_echo_client quic_probe)
  target_include_directories(${program} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
endforeach()
