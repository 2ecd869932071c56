#include "services/scaffolder/repository_host.hpp"

#include <fmt/format.h>

#include <charconv>

namespace codegen::scaffolder {

std::vector<std::string> list_roots(std::string_view reference) {
    return {
        "log", "--max-parents=0",
        fmt::format("--format=%(trailers:key={},valueonly,separator=%x2C) %(trailers:key={},valueonly,separator=%x2C)",
                    kProjectTrailer, kFilesTrailer),
        std::string(reference)};
}

Contents contents_of_roots(std::string_view listed, std::string_view project_id) {
    while (listed.ends_with('\n')) listed.remove_suffix(1);
    const auto space = listed.find(' ');
    if (listed.contains('\n') || space == listed.npos || listed.substr(0, space) != project_id)
        return {.kind = Contents::Kind::foreign};
    Contents out{.kind = Contents::Kind::ours};
    const auto files = listed.substr(space + 1);
    std::from_chars(files.data(), files.data() + files.size(), out.files);
    return out;
}

}  // namespace codegen::scaffolder
