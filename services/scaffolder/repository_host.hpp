// Where the repositories of projects live: this machine, or GitHub. Narrow on purpose: the scaffolder needs no more.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "shared/async/async.hpp"
#include "shared/contracts/contracts.hpp"

namespace codegen::scaffolder {

struct Repository {
    std::string url;  // as it is stored and shown: never with credentials
    std::optional<std::int64_t> github_id{};
};

// What is in a repository.
struct Contents {
    enum class Kind {
        empty,
        ours,    // its root commit is the one that the scaffolder made for this project
        foreign  // anything else
    } kind = Kind::empty;
    std::int64_t files = 0;  // of our root commit
};

// Use on one thread. Every function may be repeated at any time; `scratch` is an empty directory of the caller's.
class RepositoryHost {
  public:
    virtual ~RepositoryHost() = default;
    // Whether `url`, which the project names as its own, is of this host and may be filled here.
    virtual bool holds(std::string_view url, std::string_view project_id) const = 0;
    // Finds or makes the repository of this project.
    virtual Task<Result<Repository>> ensure(contracts::Project project) = 0;
    virtual Task<Result<Contents>> contents(Repository repository, std::string project_id,
                                            std::filesystem::path scratch) = 0;
    // Sends HEAD of the git directory `from` to main. Nobody ever sees half of it. Code "rejected" when the other side
    // refused: somebody else was faster, or may not.
    virtual Task<Result<void>> push(Repository repository, std::filesystem::path from) = 0;
};

// The trailers of the commit that the scaffolder makes, and what they say when they are read again.
inline constexpr std::string_view kProjectTrailer = "Codegen-Project";
inline constexpr std::string_view kFilesTrailer = "Codegen-Files";
// Arguments of `git` that print the root commits of a reference for contents_of_roots().
std::vector<std::string> list_roots(std::string_view reference);
Contents contents_of_roots(std::string_view listed, std::string_view project_id);

}  // namespace codegen::scaffolder
