#include "services/worker-manager/runtime/own_image.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "shared/base/ids.hpp"

namespace codegen::worker_manager {
namespace {

std::unexpected<Error> unfit(const std::string& reference, const std::string& why) {
    return fail(ErrorCategory::permanent, "invalid", fmt::format("config.image {}: {}", reference, why),
                "config.image");
}

std::pair<std::string, std::string> name_and_value(const std::string& variable) {
    const auto equals = variable.find('=');
    if (equals == std::string::npos) return {variable, {}};
    return {variable.substr(0, equals), variable.substr(equals + 1)};
}

}  // namespace

Result<void> check_own_image(const std::string& reference, const OwnImageFacts& facts, const OwnImageNeeds& needs) {
    if (!facts.os.empty() && facts.os != "linux")
        return unfit(reference, fmt::format("is an image for {}; workers are Linux", facts.os));
    if (!facts.machine.empty() && !needs.machine.empty() && facts.machine != needs.machine)
        return unfit(reference, fmt::format("is an image for {}, this host is {}; name one of its platform",
                                            facts.machine, needs.machine));
    if (needs.git && !facts.git)
        return unfit(reference,
                     "has no git in /usr/local/bin, /usr/bin or /bin; a worker with a repository commits with it and "
                     "hands its commits over with it: install it in the image (apt-get, apk or dnf install git)");
    if (!needs.loader.empty() && !facts.loader)
        return unfit(reference, fmt::format("has no {}, which the program of {} needs: take an image with glibc, as "
                                            "Debian, Ubuntu and Fedora have it",
                                            needs.loader, needs.agent));
    return {};
}

std::string loader_of(const std::filesystem::path& program) {
    std::ifstream in(program, std::ios::binary);
    Elf64_Ehdr head{};
    if (!in.read(reinterpret_cast<char*>(&head), sizeof head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(Elf64_Phdr))
        return {};
    for (unsigned i = 0; i < head.e_phnum; ++i) {
        Elf64_Phdr part{};
        in.seekg(static_cast<std::streamoff>(head.e_phoff + i * sizeof part));
        if (!in.read(reinterpret_cast<char*>(&part), sizeof part)) return {};
        if (part.p_type != PT_INTERP || part.p_filesz == 0 || part.p_filesz > 4096) continue;
        std::string path(part.p_filesz - 1, '\0');  // ends with a zero byte
        in.seekg(static_cast<std::streamoff>(part.p_offset));
        return in.read(path.data(), static_cast<std::streamsize>(path.size())) ? path : std::string();
    }
    return {};
}

std::string own_machine() {
    utsname name{};
    if (::uname(&name) != 0) return {};
    const std::string machine = name.machine;
    if (machine == "x86_64") return "amd64";
    if (machine == "aarch64") return "arm64";
    return machine;
}

std::vector<std::string> image_path(const std::vector<std::string>& environment, const std::string& first,
                                    std::vector<std::string> fallback) {
    std::vector<std::string> out{first};
    for (const auto& variable : environment) {
        const auto [name, value] = name_and_value(variable);
        if (name != "PATH") continue;
        fallback.clear();
        for (std::size_t at = 0; at <= value.size();) {
            const auto end = std::min(value.find(':', at), value.size());
            if (end > at && value[at] == '/') fallback.push_back(value.substr(at, end - at));
            at = end + 1;
        }
    }
    for (auto& folder : fallback)
        if (std::ranges::find(out, folder) == out.end()) out.push_back(std::move(folder));
    return out;
}

std::map<std::string, std::string> image_environment(const std::vector<std::string>& environment) {
    std::map<std::string, std::string> out;
    for (const auto& variable : environment)
        if (auto [name, value] = name_and_value(variable); !name.empty() && name != "PATH")
            out.insert_or_assign(std::move(name), std::move(value));
    return out;
}

Task<Result<OwnImageFacts>> look_into(clients::DockerClient client, clients::Image image, std::string loader,
                                      std::string mark) {
    OwnImageFacts facts{.os = image.os, .machine = image.machine};
    clients::ContainerSpec spec;
    spec.image = image.id;
    spec.entrypoint = {"/never-started"};
    spec.labels = {{"codegen.look", mark}};
    auto id = co_await client.create_container("codegen-look-" + random_token(6), std::move(spec));
    if (!id) co_return std::unexpected(id.error());
    Result<void> looked;
    for (const char* path : {"/usr/local/bin/git", "/usr/bin/git", "/bin/git"}) {
        if (facts.git || !looked) continue;
        auto there = co_await client.path_exists(*id, path);
        if (there) facts.git = *there;
        if (!there) looked = std::unexpected(there.error());
    }
    if (looked && !loader.empty()) {
        auto there = co_await client.path_exists(*id, loader);
        if (there) facts.loader = *there;
        if (!there) looked = std::unexpected(there.error());
    }
    auto removed = co_await client.remove_container(*id, true);
    if (!looked) co_return std::unexpected(looked.error());
    if (!removed) co_return std::unexpected(removed.error());
    co_return facts;
}

}  // namespace codegen::worker_manager
