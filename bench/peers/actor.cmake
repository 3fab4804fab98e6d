ron_program(actor_peer SOURCES peers/actor.cpp peers/pairs.cpp LIBS ron::actor)
target_include_directories(actor_peer PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
