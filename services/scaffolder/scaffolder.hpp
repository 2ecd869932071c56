// Makes the first code base of a project. Every step looks what is there before it does anything, so all of it may be
// repeated after a death at any point: one repository, one commit.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "services/scaffolder/repository_host.hpp"
#include "services/scaffolder/template_choice.hpp"
#include "services/scaffolder/template_folder.hpp"
#include "shared/clients/api/api_client.hpp"

namespace codegen::scaffolder {

struct ScaffolderOptions {
    std::filesystem::path work;         // temporary directories are made here
    std::filesystem::path templates;    // our own: <name>/copier.yml
    std::vector<std::string> copier;    // the program, without "copy"
    std::chrono::seconds timeout{300};  // of fetching a template, and of Copier
    TemplateRules rules;
    SizeCaps caps;
    std::function<void(std::string_view)> after_step;  // for tests: named points at which a process may die
};

struct Made {
    std::string repository_url;
    std::int64_t files = 0;  // of the first commit; 0: a repository that was there is left alone
    bool left_alone = false;
};

// The code of an error that says that the API has no such project. Not "not_found": a template or a repository that is
// not there is something to tell the project's person.
inline constexpr std::string_view kNoProject = "no_project";

// Says what happens: step, sentence, percent.
using Tell = std::function<Task<void>(std::string step, std::string sentence, int percent)>;

// Use on one thread; at most one call at a time for a project. `api` and `host` outlive it.
class Scaffolder {
  public:
    Scaffolder(clients::ApiClient& api, RepositoryHost& host, ScaffolderOptions options)
        : api_(api), host_(host), options_(std::move(options)) {}

    // Until the project is `scaffolded` and names its repository. Errors: what a repetition may mend is transient or
    // upstream; kNoProject: there is nobody to tell; every other is for the person who made the project.
    Task<Result<Made>> make(std::string project_id, Tell tell);
    // Writes down that it failed: status `failed` and config.scaffolding_error. Errors: kNoProject, and the API's.
    Task<Result<void>> give_up(std::string project_id, std::string why);

  private:
    Task<Result<Made>> fill(contracts::Project project, Repository repository, Tell tell);
    Task<Result<std::filesystem::path>> fetch(TemplateChoice choice, std::filesystem::path into);
    Task<Result<std::int64_t>> commit(contracts::Project project, std::string template_name,
                                      std::filesystem::path repository, std::filesystem::path tree);
    Task<Result<void>> finish(std::string project_id, Repository repository);
    void step(std::string_view name) const {
        if (options_.after_step) options_.after_step(name);
    }
    clients::ApiClient& api_;
    RepositoryHost& host_;
    const ScaffolderOptions options_;
};

}  // namespace codegen::scaffolder
