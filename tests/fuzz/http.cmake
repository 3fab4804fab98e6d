ron_fuzz(http_head_fuzz SOURCES http_head_fuzz.cpp LIBS ron::http CORPUS corpus/http_head)
ron_fuzz(http_connection_fuzz
  SOURCES http_connection_fuzz.cpp
  LIBS ron::http
  CORPUS corpus/http_connection)
ron_fuzz(http_fields_fuzz SOURCES http_fields_fuzz.cpp LIBS ron::http CORPUS corpus/http_fields)
ron_fuzz(inflate_fuzz SOURCES inflate_fuzz.cpp LIBS ron::inflate CORPUS corpus/inflate)
