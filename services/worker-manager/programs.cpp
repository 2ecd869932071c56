#include "services/worker-manager/programs.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;
constexpr std::array<std::string_view, 2> kPrograms{"orchestrator", "worker-wrapper"};
constexpr std::size_t kProgramLimit = 512u << 20;

Result<std::string> hash_of(const fs::path& source) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
    for (const auto& program : kPrograms) {
        auto content = posix::read_file(fs::canonical(source / program), kProgramLimit);
        if (!content) return std::unexpected(content.error());
        const auto header = fmt::format("{} {}\n", program, content->size());
        EVP_DigestUpdate(context.get(), header.data(), header.size());
        EVP_DigestUpdate(context.get(), content->data(), content->size());
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
    std::string hex;
    for (std::size_t i = 0; i < 8; ++i) hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

}  // namespace

Result<fs::path> install_programs(const fs::path& source, const fs::path& into) {
    for (const auto& program : kPrograms) {
        std::error_code ec;
        if (!fs::is_regular_file(source / program, ec))
            return fail(ErrorCategory::fatal, "not_found",
                        fmt::format("{} is not there; build it, or name the folder of the built programs",
                                    (source / program).string()));
    }
    auto hash = hash_of(source);
    if (!hash) return std::unexpected(hash.error());
    if (auto made = posix::make_directory(into, 0755); !made) return std::unexpected(made.error());
    const auto target = into / *hash;
    if (fs::exists(target)) return target;
    // Under a temporary name first: nobody ever sees half of it.
    const auto temporary = into / fmt::format(".{}.{}", *hash, random_token(4));
    if (auto made = posix::make_directory(temporary, 0755); !made) return std::unexpected(made.error());
    std::error_code ec;
    for (const auto& program : kPrograms) {
        if (!ec) fs::copy_file(source / program, temporary / program, ec);
        if (!ec) fs::permissions(temporary / program, fs::perms(0755), ec);
    }
    if (!ec) fs::rename(temporary, target, ec);
    if (ec) {
        std::error_code ignored;
        fs::remove_all(temporary, ignored);
        if (!fs::exists(target))
            return fail(ErrorCategory::permanent, "io",
                        fmt::format("copy programs to {}: {}", target.string(), ec.message()));
    }
    return target;
}

}  // namespace codegen::worker_manager
