ron_program(actor_peer SOURCES peers/actor.cpp LIBS ron::actor)
