ron_fuzz(config_fuzz SOURCES config_fuzz.cpp LIBS ron::core CORPUS corpus/config)
