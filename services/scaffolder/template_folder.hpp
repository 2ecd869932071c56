// What lies in the folder of a template, looked at before Copier is let near it; and what Copier made of it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "shared/base/result.hpp"

namespace codegen::scaffolder {

struct SizeCaps {
    std::int64_t template_bytes = 64ll << 20;
    std::int64_t template_files = 20000;
    std::int64_t project_bytes = 32ll << 20;
    std::int64_t project_files = 10000;
};

// What its copier.yml asks.
struct Questions {
    std::set<std::string> names;
    bool complete = true;  // false: the file includes others, so there may be more
};

// Refuses (permanent, "refused") a template that is too large, has links that lead out of it, or, unless `trusted`,
// runs something of its own: tasks, migrations, Jinja extensions.
Result<Questions> examine_template(const std::filesystem::path& folder, bool trusted, const SizeCaps& caps);

// The same for what was made: its size, links that lead out, a `.git`. Returns the number of files.
Result<std::int64_t> examine_project(const std::filesystem::path& folder, const SizeCaps& caps);

}  // namespace codegen::scaffolder
