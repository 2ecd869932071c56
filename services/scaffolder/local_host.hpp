// Bare repositories in a directory of this machine: <directory>/<project's id>.git. The default host.
#pragma once
#include "services/scaffolder/repository_host.hpp"

namespace codegen::scaffolder {

class LocalHost : public RepositoryHost {
  public:
    explicit LocalHost(std::filesystem::path directory) : directory_(std::move(directory)) {}
    bool holds(std::string_view url, std::string_view project_id) const override;
    Task<Result<Repository>> ensure(contracts::Project project) override;
    Task<Result<Contents>> contents(Repository repository, std::string project_id,
                                    std::filesystem::path scratch) override;
    // The first push makes the repository under a temporary name beside its own, and renames it.
    Task<Result<void>> push(Repository repository, std::filesystem::path from) override;

  private:
    std::string path_of(std::string_view project_id) const;
    const std::filesystem::path directory_;
};

}  // namespace codegen::scaffolder
