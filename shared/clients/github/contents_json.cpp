#include <fmt/format.h>

#include "shared/clients/github/contents.hpp"
#include "shared/http/url.hpp"
#include "shared/json/instantiate.hpp"

namespace codegen::clients::github {

Result<std::string> encoded_path(std::string_view path) {
    std::string out;
    for (auto rest = path;; rest.remove_prefix(rest.find('/') + 1)) {
        const auto segment = rest.substr(0, rest.find('/'));
        if (segment.empty() || segment == "." || segment == ".." || segment.contains('\0'))
            return fail(
                ErrorCategory::permanent, "invalid",
                fmt::format("\"{}\" is not the path of a file in a repository, expected e.g. src/main.py", path));
        if (!out.empty()) out += '/';
        out += http::percent_encode(segment);
        if (!rest.contains('/')) return out;
    }
}

}  // namespace codegen::clients::github

CODEGEN_JSON_INSTANTIATE(codegen::clients::github::FileEntry)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::EncodedFile)
CODEGEN_JSON_INSTANTIATE(codegen::clients::github::FileCommit)
