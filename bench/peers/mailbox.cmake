ron_program(mailbox_peer SOURCES peers/mailbox.cpp peers/mailbox_ours.cpp peers/mailbox_redis.cpp
  peers/pairs.cpp LIBS ron::sdk ron::oap ron::crypto ron::core)
target_include_directories(mailbox_peer PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}
  ${PROJECT_SOURCE_DIR}/sdk/cpp/src)
