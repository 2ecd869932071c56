#include "services/worker-manager/runtime/built_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "services/worker-manager/runtime/build_log.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kRepository = "worker:";
constexpr std::string_view kInstallation = "codegen.image.installation";

}  // namespace

std::map<std::string, std::string> image_labels(const std::string& installation) {
    return {{"codegen.image", "worker"}, {std::string(kInstallation), installation}};
}

BuiltImages::BuiltImages(clients::DockerClient& client, std::string installation, fs::path logs)
    : client_(client), installation_(std::move(installation)), logs_(std::move(logs)) {}

Task<Result<std::vector<BuiltImage>>> BuiltImages::list() {
    auto images = co_await client_.list_images(fmt::format("{}={}", kInstallation, installation_));
    if (!images) co_return std::unexpected(images.error());
    auto containers = co_await client_.list_containers({});
    if (!containers) co_return std::unexpected(containers.error());
    std::set<std::string> used;
    for (const auto& container : *containers) used.insert(container.image_id);
    std::vector<BuiltImage> out;
    for (auto& image : *images) {
        const auto tag =
            std::ranges::find_if(image.tags, [](const std::string& name) { return name.starts_with(kRepository); });
        if (tag == image.tags.end()) continue;  // a step of a build
        out.push_back({*tag, image.labels["codegen.agent"], image.size, image.created, used.contains(image.id)});
    }
    co_return out;
}

Task<Result<void>> BuiltImages::remove(std::string tag) {
    auto image = co_await client_.inspect_image(tag);
    if (!image && image.error().code == "not_found") co_return Result<void>();
    if (!image) co_return std::unexpected(image.error());
    if (!tag.starts_with(kRepository) || image->labels[std::string(kInstallation)] != installation_)
        co_return fail(ErrorCategory::permanent, "invalid",
                       fmt::format("image {} was not built by this control plane; remove it with docker rmi", tag));
    auto removed = co_await client_.remove_image(tag, false);
    if (!removed && removed.error().code != "not_found") co_return std::unexpected(removed.error());
    std::error_code ignored;
    for (const auto& log : {log_of(tag), BuildLog::older(log_of(tag))}) fs::remove(log, ignored);
    co_return Result<void>();
}

Task<Result<std::int64_t>> BuiltImages::clear_leftovers(std::chrono::milliseconds keep_logs) {
    // Of a look into an image that was cut off.
    auto looks = co_await client_.list_containers({"codegen.look=" + installation_});
    if (!looks) co_return std::unexpected(looks.error());
    for (const auto& look : *looks) static_cast<void>(co_await client_.remove_container(look.id, true));
    auto freed = co_await client_.prune_untagged_images(fmt::format("{}={}", kInstallation, installation_));
    // The engine does one such thing at a time: whoever is at it clears ours as well, or the next day does.
    if (!freed && freed.error().code == "conflict") freed = 0;
    if (!freed) co_return std::unexpected(freed.error());
    auto kept = co_await list();
    if (!kept) co_return std::unexpected(kept.error());
    co_return *freed + clear_logs(*kept, keep_logs);
}

std::int64_t BuiltImages::clear_logs(const std::vector<BuiltImage>& kept, std::chrono::milliseconds keep_logs) const {
    std::set<fs::path> wanted;
    for (const auto& image : kept) wanted.insert({log_of(image.tag), BuildLog::older(log_of(image.tag))});
    std::int64_t freed = 0;
    std::error_code error;
    const auto now = fs::file_time_type::clock::now();
    for (auto it = fs::directory_iterator(logs_, error); !error && it != end(it); it.increment(error)) {
        const auto& path = it->path();
        std::error_code gone;
        if ((path.extension() != ".log" && path.extension() != ".1") || wanted.contains(path) ||
            it->last_write_time(gone) + keep_logs > now || gone)
            continue;
        const auto size = it->file_size(gone);
        if (fs::remove(path, gone) && !gone) freed += static_cast<std::int64_t>(size);
    }
    return freed;
}

fs::path BuiltImages::log_of(const std::string& tag) const { return logs_ / (tag.substr(tag.find(':') + 1) + ".log"); }

}  // namespace codegen::worker_manager
