ron_fuzz(json_fuzz SOURCES json_fuzz.cpp LIBS ron::core CORPUS corpus/json)
ron_fuzz(cbor_fuzz SOURCES cbor_fuzz.cpp LIBS ron::core CORPUS corpus/cbor)
ron_fuzz(packed_object_fuzz SOURCES packed_object_fuzz.cpp LIBS ron::core CORPUS corpus/packed_object)
ron_fuzz(text_forms_fuzz SOURCES text_forms_fuzz.cpp LIBS ron::core CORPUS corpus/text_forms)
