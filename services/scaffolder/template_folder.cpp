#include "services/scaffolder/template_folder.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>

#include "shared/posix/file.hpp"

namespace codegen::scaffolder {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLargestQuestionnaire = 1u << 20;
constexpr std::array<const char*, 3> kRunsSomething{"_tasks", "_migrations", "_jinja_extensions"};

std::unexpected<Error> refused(std::string why) { return fail(ErrorCategory::permanent, "refused", std::move(why)); }

// Counted by names: what a name says about a target that is not there counts too.
bool leads_out(const fs::path& folder, const fs::path& link, const fs::path& target) {
    if (target.is_absolute()) return true;
    const auto reached = (link.parent_path() / target).lexically_normal();
    const auto inside = reached.lexically_relative(folder.lexically_normal());
    return inside.empty() || *inside.begin() == "..";
}

struct Walked {
    std::int64_t bytes = 0;
    std::int64_t files = 0;
};

Result<Walked> walk(const fs::path& folder, std::string_view what, std::int64_t most_bytes, std::int64_t most_files) {
    Walked out;
    std::error_code error;
    auto it = fs::recursive_directory_iterator(folder, error);
    for (; !error && it != end(it); it.increment(error)) {
        const auto name = it->path().lexically_relative(folder).string();
        const auto status = it->symlink_status(error);
        if (error) break;
        if (fs::is_symlink(status)) {
            const auto target = fs::read_symlink(it->path(), error);
            if (error) break;
            if (leads_out(folder, it->path(), target))
                return refused(
                    fmt::format("{} has a link that leads out of it: {} -> {}", what, name, target.string()));
            ++out.files;
        } else if (fs::is_regular_file(status)) {
            ++out.files;
            out.bytes += static_cast<std::int64_t>(it->file_size(error));
            if (error) break;
        } else if (!fs::is_directory(status)) {
            return refused(fmt::format("{} has a special file: {}", what, name));
        }
        if (out.files > most_files) return refused(fmt::format("{} has more than {} files", what, most_files));
        if (out.bytes > most_bytes) return refused(fmt::format("{} has more than {} bytes", what, most_bytes));
    }
    if (error) return fail(ErrorCategory::permanent, "io", fmt::format("{}: {}", folder.string(), error.message()));
    return out;
}

bool says_something(const YAML::Node& node) {
    return node.IsDefined() && !node.IsNull() && !((node.IsSequence() || node.IsMap()) && node.size() == 0);
}

Result<void> read_document(const YAML::Node& document, const std::string& file, bool trusted, Questions& out) {
    if (document.Tag() == "!include") out.complete = false;
    if (!document.IsMap()) return {};
    for (const char* section : kRunsSomething) {
        if (trusted || !says_something(document[section])) continue;
        return refused(fmt::format(
            "{} has {}, which runs what the template brings along: refused, unless the operator trusts this "
            "template (TEMPLATE_TRUSTED)",
            file, section));
    }
    for (const auto& item : document) {
        const auto name = item.first.as<std::string>("");
        if (!name.empty() && !name.starts_with('_')) out.names.insert(name);
    }
    return {};
}

}  // namespace

Result<Questions> examine_template(const fs::path& folder, bool trusted, const SizeCaps& caps) {
    auto walked = walk(folder, "the template", caps.template_bytes, caps.template_files);
    if (!walked) return std::unexpected(walked.error());
    Questions out;
    for (const char* file : {"copier.yml", "copier.yaml"}) {
        std::error_code ignored;
        if (!fs::exists(folder / file, ignored)) continue;
        auto text = posix::read_file(folder / file, kLargestQuestionnaire);
        if (!text) return std::unexpected(in_context(text.error(), "the template"));
        try {
            for (const auto& document : YAML::LoadAll(*text))
                if (auto read = read_document(document, file, trusted, out); !read)
                    return std::unexpected(read.error());
        } catch (const YAML::Exception& e) {
            return refused(fmt::format("{} of the template: {}", file, e.what()));
        }
    }
    return out;
}

Result<std::int64_t> examine_project(const fs::path& folder, const SizeCaps& caps) {
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(folder / ".git", ignored)))
        return refused("what the template makes has a .git of its own");
    auto walked = walk(folder, "what the template makes", caps.project_bytes, caps.project_files);
    if (!walked) return std::unexpected(walked.error());
    return walked->files;
}

}  // namespace codegen::scaffolder
