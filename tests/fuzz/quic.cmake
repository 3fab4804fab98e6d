ron_fuzz(quic_datagram_fuzz SOURCES quic_datagram_fuzz.cpp LIBS ron::quic CORPUS corpus/quic_datagram)
ron_fuzz(quic_lanes_fuzz SOURCES quic_lanes_fuzz.cpp LIBS ron::quic CORPUS corpus/quic_lanes)
