// For builds without libFuzzer: the committed corpus of one fuzz target, and mutations of it that are the same each
// time, through the target's own entry point (cmake/CodegenModule.cmake links it).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

// A copy of exactly its size on the heap: a read beyond its end is seen by AddressSanitizer.
void run(const std::string& input) {
    const std::vector<unsigned char> bytes(input.begin(), input.end());
    EXPECT_EQ(LLVMFuzzerTestOneInput(bytes.data(), bytes.size()), 0);
}

std::vector<std::string> corpus() {
    std::vector<fs::path> files;
    if (fs::is_directory(CODEGEN_FUZZ_CORPUS))
        for (const auto& entry : fs::directory_iterator(CODEGEN_FUZZ_CORPUS)) files.push_back(entry.path());
    std::ranges::sort(files);
    std::vector<std::string> out;
    for (const auto& file : files) {
        std::ifstream in(file, std::ios::binary);
        std::ostringstream text;
        text << in.rdbuf();
        out.push_back(std::move(text).str());
    }
    return out;
}

class Mutator {
  public:
    explicit Mutator(const std::vector<std::string>& seeds) : seeds_(seeds) {}

    std::string next(std::size_t seed) {
        std::string text = seeds_[seed];
        for (auto changes = below(4) + 1; changes > 0; --changes) change(text);
        return text;
    }

  private:
    std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
    void change(std::string& text) {
        constexpr std::string_view kTelling = "{}[]\",:\\\r\n<>/ -0e.\0\xff\x80$*+";
        const auto at = below(text.size() + 1);
        const auto& other = seeds_[below(seeds_.size())];
        switch (below(6)) {
            case 0:
                if (at < text.size()) text[at] = static_cast<char>(below(256));
                break;
            case 1:
                text.erase(at, below(16) + 1);
                break;
            case 2:
                text.insert(at, text.substr(below(text.size()), below(24)));
                break;
            case 3:
                text.resize(at);
                break;
            case 4:
                text.insert(at, 1, kTelling[below(kTelling.size())]);
                break;
            default:
                text.replace(at, below(text.size() - at + 1), other.substr(below(other.size())));
        }
        if (text.size() > 8192) text.resize(8192);
    }

    const std::vector<std::string>& seeds_;
    std::mt19937 random_{20261126};
};

TEST(FuzzReplay, TheCommittedCorpus) {
    const auto seeds = corpus();
    ASSERT_GE(seeds.size(), 5u) << CODEGEN_FUZZ_CORPUS << " is missing: it is committed, and `make soak` extends it";
    run({});
    for (const auto& seed : seeds) run(seed);
}

TEST(FuzzReplay, MutationsOfIt) {
    constexpr std::size_t kInputs = 2000;
    const auto seeds = corpus();
    ASSERT_FALSE(seeds.empty());
    Mutator mutator(seeds);
    for (std::size_t i = 0; i < kInputs; ++i) {
        const auto input = mutator.next(i % seeds.size());
        run(input);
        if (testing::Test::HasFailure()) FAIL() << "mutation " << i;
    }
}

}  // namespace
