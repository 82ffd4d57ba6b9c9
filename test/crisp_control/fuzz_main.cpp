// A fuzzing engine for compilers without libFuzzer: deterministic for a seed, and it keeps what failed.
//   fuzz_references SECONDS FILE [SEED]   tries inputs for that long; a failing one is left in FILE
//   fuzz_references FILE                  replays one input
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
std::string fuzzing_reached();

namespace {

using Input = std::vector<std::uint8_t>;

/// Random bytes, splices of what came before, and small changes of it: the same for the same seed.
class Mutator {
 public:
  explicit Mutator(unsigned seed) : rng_(seed) {}
  Input next() {
    Input input;
    if (corpus_.empty() || below(3) == 0) {
      input.resize(1 + below(4000));
      for (auto& byte : input) byte = static_cast<std::uint8_t>(rng_());
    } else {
      const Input &head = corpus_[below(corpus_.size())], &tail = corpus_[below(corpus_.size())];
      input.assign(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(below(head.size() + 1)));
      input.insert(input.end(), tail.begin() + static_cast<std::ptrdiff_t>(below(tail.size())), tail.end());
      for (std::size_t i = below(20); i > 0; --i) input[below(input.size())] = kSpecial[below(std::size(kSpecial))];
      input.resize(std::min<std::size_t>(input.size(), 8000));
    }
    if (corpus_.size() < 200)
      corpus_.push_back(input);
    else
      corpus_[below(corpus_.size())] = input;
    return input;
  }

 private:
  static constexpr std::uint8_t kSpecial[] = {0, 1, 2, 3, 7, 16, 31, 127, 128, 240, 248, 254, 255};
  std::size_t below(std::size_t limit) { return rng_() % limit; }
  std::mt19937_64 rng_;
  std::vector<Input> corpus_;
};

void write(const Input& input, const std::filesystem::path& path) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) return std::cerr << "usage: fuzz_references SECONDS FILE [SEED] | FILE\n", 2;
  if (argc == 2) {
    std::ifstream file(argv[1], std::ios::binary);
    if (!file) return std::cerr << "fuzz_references: no file '" << argv[1] << "' to replay\n", 2;
    const Input input{std::istreambuf_iterator<char>(file), {}};
    return LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  const double seconds = std::stod(argv[1]);
  const unsigned seed = argc > 3 ? static_cast<unsigned>(std::stoul(argv[3])) : std::random_device{}();
  // Written before it is tried: whatever ends the program leaves the input behind.
  const auto path = std::filesystem::absolute(argv[2]);
  std::cout << "seed " << seed << "; a failing input is left in " << path << ", replay it with: " << argv[0] << ' '
            << path << std::endl;
  Mutator mutator(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::uint64_t tried = 0;
  for (; std::chrono::steady_clock::now() < end; ++tried) {
    const Input input = mutator.next();
    write(input, path);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::filesystem::remove(path);
  std::cout << tried << " inputs, none failed; " << fuzzing_reached() << std::endl;
}
