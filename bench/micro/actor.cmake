ron_bench(actor_bench SOURCES micro/actor_bench.cpp LIBS ron::actor)
