#include "services/worker-manager/runtime/image_builder.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "services/worker-manager/core/names.hpp"
#include "services/worker-manager/runtime/build_log.hpp"
#include "services/worker-manager/runtime/built_images.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;
using std::chrono::minutes;

namespace {

constexpr std::string_view kDefaultBase = "debian:bookworm-slim";
constexpr std::string_view kMadeBaseRepository = "codegen/worker-base";
constexpr std::string_view kMadeBaseTag = "bookworm";

// Certificates that this machine trusts beyond its distribution's: behind a company's proxy, a build needs them too.
std::vector<std::string> host_authorities() {
    std::vector<fs::path> files;
    std::error_code error;
    for (auto it = fs::directory_iterator("/usr/local/share/ca-certificates", error); !error && it != end(it);
         it.increment(error))
        if (it->path().extension() == ".crt") files.push_back(it->path());
    if (const char* file = std::getenv("SSL_CERT_FILE"); file && !std::string_view(file).starts_with("/etc/ssl/certs/"))
        files.emplace_back(file);
    std::set<std::string> certificates;
    for (const fs::path& file : files)
        if (auto pem = posix::read_file(file, 4u << 20))
            for (std::string& certificate : split_certificates(*pem)) certificates.insert(std::move(certificate));
    return {certificates.begin(), certificates.end()};
}

std::string os_codename() {
    std::ifstream file("/etc/os-release");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("VERSION_CODENAME=")) return line.substr(17);
    return {};
}

// The engine knows these names and keeps their values out of the image's history.
std::map<std::string, std::string> proxy_arguments() {
    std::map<std::string, std::string> arguments;
    for (const char* name : {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
        if (const char* value = std::getenv(name); value && *value) arguments[name] = value;
    return arguments;
}

std::function<void(std::string)> into_log(std::shared_ptr<BuildLog> log, ImageBuilder::Progress progress) {
    return [log, progress](std::string line) {
        log->line(line);
        if (progress) progress(std::move(line));
    };
}

}  // namespace

ImageBuilder::ImageBuilder(clients::DockerClient& client, ImageOptions options, std::string installation)
    : client_(client),
      options_(std::move(options)),
      installation_(std::move(installation)),
      agents_(options_.agents, options_.agent_scripts) {}

Task<Result<std::string>> ImageBuilder::ensure(ImageRequest request, Progress progress) {
    if (request.image) co_return co_await own_image(std::move(request), std::move(progress));

    auto from = co_await base(progress);
    if (!from) co_return std::unexpected(in_context(from.error(), "base image"));
    ImageRecipe recipe{.base = from->reference,
                       .base_id = from->id,
                       .agent = agent_binary(request.agent_type),
                       .capabilities = request.capabilities,
                       .authorities = host_authorities(),
                       .apt_sources = {},
                       .apt_codename = {},
                       .labels = image_labels(installation_)};
    std::string tag = "worker:" + recipe_hash(recipe);
    auto known = co_await client_.inspect_image(tag);
    if (known) co_return tag;
    if (known.error().code != "not_found") co_return std::unexpected(known.error());
    co_return co_await builds_.run(tag, [this, recipe, tag, progress] { return build(recipe, tag, progress); });
}

Task<Result<std::string>> ImageBuilder::own_image(ImageRequest request, Progress progress) {
    const std::string reference = *request.image;
    if (auto named = check_image_reference(reference, "config.image"); !named) co_return std::unexpected(named.error());
    auto image = co_await find_or_pull(reference, progress);
    if (!image) co_return std::unexpected(image.error());
    OwnImageNeeds needs{.git = request.needs_git, .machine = own_machine()};
    // An own image has no agent in it: the runtime shows the program from the store.
    if (auto binary = agent_binary(request.agent_type)) {
        auto installed = co_await agents_.ensure(*binary, progress);
        if (!installed) co_return std::unexpected(installed.error());
        needs.loader = loader_of(*installed);
        needs.agent = binary->agent;
    }
    const auto key = image->id + " " + needs.loader;
    if (!looked_into_.contains(key)) {
        auto facts = co_await look_into(client_, *image, needs.loader, installation_);
        if (!facts) co_return std::unexpected(in_context(facts.error(), fmt::format("config.image {}", reference)));
        looked_into_[key] = std::move(*facts);
    }
    if (auto fit = check_own_image(reference, looked_into_[key], needs); !fit) co_return std::unexpected(fit.error());
    co_return reference;
}

Task<Result<clients::Image>> ImageBuilder::find_or_pull(std::string reference, Progress progress) {
    auto known = co_await client_.inspect_image(reference);
    if (known || known.error().code != "not_found") co_return known;
    auto pulled = co_await client_.pull_image(reference, std::move(progress), options_.build_limit);
    if (!pulled)
        co_return std::unexpected(in_context(
            pulled.error(), fmt::format("config.image {} is not on this engine and could not be pulled", reference)));
    co_return co_await client_.inspect_image(reference);
}

Task<Result<ImageBuilder::Base>> ImageBuilder::base(Progress progress) {
    co_return co_await bases_.run("base", [this, progress] { return find_or_make_base(progress); });
}

Task<Result<ImageBuilder::Base>> ImageBuilder::find_or_make_base(Progress progress) {
    std::string wanted = options_.base_image.empty() ? std::string(kDefaultBase) : options_.base_image;
    std::string made = fmt::format("{}:{}", kMadeBaseRepository, kMadeBaseTag);
    std::vector<std::string> candidates{wanted};
    if (options_.base_image.empty()) candidates.push_back(made);
    for (const std::string& candidate : candidates) {
        auto image = co_await client_.inspect_image(candidate);
        if (image) co_return Base{candidate, image->id};
        if (image.error().code != "not_found") co_return std::unexpected(image.error());
    }
    if (progress) progress("pulling " + wanted);
    auto pulled = co_await client_.pull_image(wanted, progress, minutes(10));
    if (pulled) {
        auto image = co_await client_.inspect_image(wanted);
        if (!image) co_return std::unexpected(image.error());
        co_return Base{wanted, image->id};
    }
    if (!options_.base_image.empty())
        co_return std::unexpected(in_context(pulled.error(), fmt::format("WORKER_BASE_IMAGE is \"{}\"", wanted)));
    if (progress)
        progress(fmt::format("no registry ({}): making the base image from Debian packages", pulled.error().message));
    co_return co_await make_base(made, std::move(progress));
}

Task<Result<ImageBuilder::Base>> ImageBuilder::make_base(std::string tag, Progress progress) {
    if (auto made = posix::make_directory(options_.images, 0700); !made) co_return std::unexpected(made.error());
    fs::path root = options_.images / "worker-base.tar";
    process::Spec spec;
    spec.argv = {"/bin/sh", options_.image_scripts / "worker-base" / "build.sh", std::string(kMadeBaseTag), root};
    spec.environment = process::minimal_environment();
    for (const auto& [name, value] : proxy_arguments()) spec.environment[name] = value;
    auto last = std::make_shared<std::string>();
    auto outcome =
        co_await process::run(std::move(spec), {.timeout = minutes(15)}, [last, progress](std::string_view line) {
            *last = line;
            if (progress) progress(std::string(line));
        });
    if (!outcome) co_return std::unexpected(outcome.error());
    if (!outcome->ok())
        co_return fail(ErrorCategory::transient, "unavailable",
                       fmt::format("images/worker-base/build.sh: {}: {}", outcome->describe(), *last));
    auto imported = co_await client_.import_image(clients::file_source(root), std::string(kMadeBaseRepository),
                                                  std::string(kMadeBaseTag), progress, minutes(5));
    std::error_code ignored;
    fs::remove(root, ignored);
    if (!imported) co_return std::unexpected(imported.error());
    auto image = co_await client_.inspect_image(tag);
    if (!image) co_return std::unexpected(image.error());
    co_return Base{tag, image->id};
}

Task<ImageRecipe> ImageBuilder::with_host_sources(ImageRecipe recipe) {
    std::string codename = os_codename();
    process::Spec spec;
    spec.argv = {"apt-get", "indextargets"};
    spec.environment = process::minimal_environment();
    auto outcome = co_await process::run(std::move(spec), {.timeout = std::chrono::seconds(20)});
    if (codename.empty() || !outcome || !outcome->ok())
        co_return recipe;  // not a Debian host: the image's own sources serve
    recipe.apt_sources = debian_sources(outcome->output, codename);
    recipe.apt_codename = codename;
    co_return recipe;
}

Task<Result<std::string>> ImageBuilder::build(ImageRecipe recipe, std::string tag, Progress progress) {
    using clients::TarEntry;
    if (auto made = posix::make_directory(options_.images, 0700); !made) co_return std::unexpected(made.error());
    fs::path log_file = options_.images / (tag.substr(tag.find(':') + 1) + ".log");
    auto on_line = into_log(std::make_shared<BuildLog>(log_file), progress);
    auto sourced = co_await with_host_sources(std::move(recipe));
    recipe = std::move(sourced);

    std::vector<TarEntry> context;
    if (recipe.agent) {
        auto program = co_await agents_.ensure(*recipe.agent, on_line);
        if (!program) co_return std::unexpected(program.error());
        context.push_back({.name = recipe.agent->program, .mode = 0755, .content = {}, .file = *program});
        for (const std::string& name : recipe.agent->companions)
            context.push_back({.name = name, .mode = 0755, .content = {}, .file = program->parent_path() / name});
    }
    context.push_back({.name = "Dockerfile", .content = dockerfile(recipe), .file = {}});
    for (std::size_t i = 0; i < recipe.authorities.size(); ++i)
        context.push_back(
            {.name = fmt::format("authorities/codegen-host-{}.crt", i), .content = recipe.authorities[i], .file = {}});
    if (!recipe.apt_sources.empty()) {
        std::string lines;
        for (const std::string& line : recipe.apt_sources) lines += line + "\n";
        context.push_back({.name = "sources.list", .content = lines, .file = {}});
    }
    on_line("building " + tag);
    clients::BuildRequest request{.tag = tag,
                                  .labels = {},
                                  .arguments = proxy_arguments(),
                                  .context = clients::tar_source(std::move(context)),
                                  .pull = false};
    if (recipe.agent) request.labels["codegen.agent"] = recipe.agent->folder;
    auto built = co_await client_.build_image(std::move(request), on_line, options_.build_limit);
    if (!built)
        co_return std::unexpected(
            Error{built.error().category,
                  built.error().code,
                  fmt::format("image {}: {} (log: {})", tag, built.error().message, log_file.string()),
                  {}});
    co_return tag;
}

}  // namespace codegen::worker_manager
