#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "packages/orchestrator-cli/command.hpp"

namespace codegen::cli {
namespace {

// Standard input may be a pipe or a terminal: read to its end.
std::expected<std::string, Failure> read_stdin() {
    std::string out;
    char buffer[65536];
    while (true) {
        const auto n = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (n == 0) return out;
        if (n > 0) out.append(buffer, static_cast<std::size_t>(n));
        if (n < 0 && errno != EINTR)
            return std::unexpected(usage(fmt::format("standard input: {}", std::strerror(errno))));
    }
}

}  // namespace

std::expected<std::string, Failure> read_text(const std::string& option, const std::string& value, bool allow_stdin) {
    // A tool of a model's: what it says is text, never the name of a file of ours.
    if (std::getenv(std::string(kLiteralTexts).c_str()) != nullptr) return value;
    if (allow_stdin && value == "-") return read_stdin();
    if (!value.starts_with('@')) return value;
    std::ifstream file(value.substr(1), std::ios::binary);
    if (!file) return std::unexpected(usage(fmt::format("{} is \"{}\": {}", option, value, std::strerror(errno))));
    std::string out{std::istreambuf_iterator<char>(file), {}};
    if (file.bad()) return std::unexpected(usage(fmt::format("{} is \"{}\": cannot be read", option, value)));
    return out;
}

}  // namespace codegen::cli
