ron_fuzz(tor_control_fuzz SOURCES tor_control_fuzz.cpp LIBS ron::tor CORPUS corpus/tor_control)
ron_fuzz(tor_socks_fuzz SOURCES tor_socks_fuzz.cpp LIBS ron::tor CORPUS corpus/tor_socks)
