// The main() of a fuzz target outside the preset `fuzz`: feeds it every file under the given paths.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  std::size_t inputs = 0;
  auto replay = [&](const fs::path& path) {
    std::ifstream in{path, std::ios::binary};
    if (!in) {
      std::fprintf(stderr, "cannot read %s\n", path.c_str());
      return false;
    }
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    std::printf("%s\n", path.filename().c_str());
    std::fflush(stdout);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    ++inputs;
    return true;
  };
  LLVMFuzzerTestOneInput(nullptr, 0);
  for (int i = 1; i < argc; ++i) {
    if (!fs::is_directory(argv[i])) {
      if (!replay(argv[i]))
        return 1;
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator{argv[i]})
      if (entry.is_regular_file() && !replay(entry.path()))
        return 1;
  }
  std::printf("%zu inputs replayed\n", inputs);
  return inputs == 0; // an empty corpus is a mistake in the build files
}
