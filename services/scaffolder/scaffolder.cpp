#include "services/scaffolder/scaffolder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "services/scaffolder/copier.hpp"
#include "services/scaffolder/project_file.hpp"
#include "services/scaffolder/work_directory.hpp"
#include "shared/git/git.hpp"
#include "shared/posix/file.hpp"

namespace codegen::scaffolder {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kBotName = "Codegen Orchestrator";
constexpr std::string_view kBotAddress = "orchestrator@codegen.invalid";
constexpr std::string_view kErrorNote = "scaffolding_error";  // in the project's config

bool has_code(contracts::ProjectStatus status) {
    using enum contracts::ProjectStatus;
    return status != draft && status != scaffolding && status != failed && status != discovered && status != missing;
}

std::string target_of(const std::string& project_id) { return "/api/projects/" + project_id; }

std::unexpected<Error> of_project(Error error, const std::string& project_id) {
    if (error.code == "not_found") error.code = kNoProject;
    return std::unexpected(in_context(std::move(error), "project " + project_id));
}

// Copier writes where the template lay; that was a directory of ours.
void name_true_source(const fs::path& tree, const fs::path& folder, const std::string& name) {
    const auto file = tree / ".copier-answers.yml";
    auto text = posix::read_file(file, 1u << 20);
    if (!text) return;
    for (std::size_t at; (at = text->find(folder.string())) != text->npos;)
        text->replace(at, folder.string().size(), name);
    if (auto written = posix::replace_file(file, *text, 0644); !written) return;
}

}  // namespace

Task<Result<Made>> Scaffolder::make(std::string project_id, Tell tell) {
    auto project = co_await api_.get<contracts::Project>(target_of(project_id));
    if (!project) co_return of_project(project.error(), project_id);
    if (project->repository_url && !host_.holds(*project->repository_url, project->id)) {
        // Somebody's own, elsewhere.
        const auto url = *project->repository_url;
        auto done = co_await finish(project_id, {url});
        if (!done) co_return std::unexpected(done.error());
        co_return Made{url, 0, true};
    }
    auto repository = co_await host_.ensure(*project);
    if (!repository) co_return std::unexpected(in_context(repository.error(), "repository"));
    step("ensured");
    auto made = co_await fill(*project, *repository, std::move(tell));
    if (!made) co_return std::unexpected(made.error());
    step("pushed");
    auto done = co_await finish(project_id, std::move(*repository));
    if (!done) co_return std::unexpected(done.error());
    step("finished");
    co_return std::move(*made);
}

Task<Result<Made>> Scaffolder::fill(contracts::Project project, Repository repository, Tell tell) {
    auto work = WorkDirectory::make(options_.work);
    if (!work) co_return std::unexpected(work.error());
    auto there = co_await host_.contents(repository, project.id, *work / "contents");
    if (!there) co_return std::unexpected(in_context(there.error(), "repository " + repository.url));
    if (there->kind == Contents::Kind::ours) co_return Made{repository.url, there->files};
    if (there->kind == Contents::Kind::foreign) {
        if (project.repository_url) co_return Made{repository.url, 0, true};
        co_return fail(ErrorCategory::permanent, "conflict",
                       fmt::format("repository {} is there and not empty: it is left alone; give the project another "
                                   "name, or set its repository_url to use it as it is",
                                   repository.url));
    }
    if (!has_code(project.status) && project.status != contracts::ProjectStatus::scaffolding) {
        auto begun = co_await api_.call("PATCH", target_of(project.id), R"({"status":"scaffolding"})");
        if (!begun) co_return of_project(begun.error(), project.id);
    }
    step("begun");

    auto choice = choose_template(project.config, options_.rules);
    if (!choice) co_return std::unexpected(choice.error());
    co_await tell("template", "fetching template " + choice->name, 10);
    auto folder = co_await fetch(*choice, *work / "template");
    if (!folder) co_return std::unexpected(in_context(folder.error(), "template " + choice->name));
    auto questions = examine_template(*folder, choice->trusted || choice->location.empty(), options_.caps);
    if (!questions) co_return std::unexpected(in_context(questions.error(), "template " + choice->name));
    auto answers = answers_for(project, *choice, *questions);
    if (!answers) co_return std::unexpected(answers.error());
    step("fetched");

    co_await tell("copier", "applying template " + choice->name, 30);
    auto scratch = work->folder("scratch");
    if (!scratch) co_return std::unexpected(scratch.error());
    const auto tree = *work / "project";
    auto applied = co_await run_copier({.program = options_.copier,
                                        .source = *folder,
                                        .target = tree,
                                        .scratch = *scratch,
                                        .answers = std::move(*answers),
                                        .trusted = choice->trusted,
                                        .timeout = options_.timeout});
    if (!applied) co_return std::unexpected(in_context(applied.error(), "template " + choice->name));
    std::error_code ignored;
    fs::create_directory(tree, ignored);  // the template made nothing
    if (auto fine = examine_project(tree, options_.caps); !fine)
        co_return std::unexpected(in_context(fine.error(), "template " + choice->name));
    if (!choice->location.empty()) name_true_source(tree, *folder, choice->location);
    if (!fs::exists(tree / kProjectFile, ignored))
        if (auto written = posix::replace_file(tree / kProjectFile, project_file(project, choice->name), 0644);
            !written)
            co_return std::unexpected(written.error());
    step("applied");

    auto files = co_await commit(project, choice->name, *work / "git", tree);
    if (!files) co_return std::unexpected(files.error());
    step("committed");
    co_await tell("push", "pushing the first commit", 80);
    auto pushed = co_await host_.push(repository, *work / "git");
    if (pushed) co_return Made{repository.url, *files};
    if (pushed.error().code != "rejected") co_return std::unexpected(pushed.error());
    // Another copy of this role may have been faster.
    auto now = co_await host_.contents(repository, project.id, *work / "contents-again");
    if (now && now->kind == Contents::Kind::ours) co_return Made{repository.url, now->files};
    co_return std::unexpected(pushed.error());
}

Task<Result<fs::path>> Scaffolder::fetch(TemplateChoice choice, fs::path into) {
    if (choice.location.empty()) {
        std::error_code ignored;
        if (fs::exists(options_.templates / choice.name / "copier.yml", ignored))
            co_return options_.templates / choice.name;
        co_return fail(ErrorCategory::permanent, "not_found",
                       fmt::format("there is no template of ours of that name in {}", options_.templates.string()));
    }
    const auto repository = into.parent_path() / "template.git";
    const auto reference = choice.reference.empty() ? std::string("HEAD") : choice.reference;
    for (auto arguments : std::vector<std::vector<std::string>>{
             {"init", "--quiet", "--template="},
             {"fetch", "--quiet", "--depth=1", "--no-tags", "--", choice.location, reference},
             {"checkout", "--quiet", "--force", "FETCH_HEAD"}}) {
        std::error_code ignored;
        fs::create_directory(into, ignored);
        auto done = co_await git::output({.repository = repository,
                                          .arguments = std::move(arguments),
                                          .work_tree = into,
                                          .timeout = options_.timeout,
                                          .network = true});
        if (!done) co_return std::unexpected(done.error());
    }
    co_return into;
}

Task<Result<std::int64_t>> Scaffolder::commit(contracts::Project project, std::string template_name,
                                              fs::path repository, fs::path tree) {
    auto done = co_await git::output({.repository = repository,
                                      .arguments = {"init", "--quiet", "--template=", "--initial-branch=main"},
                                      .work_tree = tree,
                                      .durable = true});
    if (done)
        done = co_await git::output(
            {.repository = repository, .arguments = {"add", "--all"}, .work_tree = tree, .durable = true});
    if (done)
        done = co_await git::output({.repository = repository, .arguments = {"ls-files", "-z"}, .work_tree = tree});
    if (!done) co_return std::unexpected(done.error());
    const auto files = std::ranges::count(*done, '\0');
    // The same commit whenever, and by whomever, it is made.
    const auto date = fmt::format("{} +0000", to_micros(project.created_at.value_or(system_now())) / 1'000'000);
    const auto message = fmt::format("Begin with template {}\n\n{}: {}\n{}: {}\n", template_name, kProjectTrailer,
                                     project.id, kFilesTrailer, files);
    done = co_await git::output({.repository = repository,
                                 .arguments = {"commit", "--quiet", "--no-verify", "--cleanup=verbatim", "--file=-"},
                                 .work_tree = tree,
                                 .input = message,
                                 .durable = true,
                                 .environment = {{"GIT_AUTHOR_NAME", std::string(kBotName)},
                                                 {"GIT_AUTHOR_EMAIL", std::string(kBotAddress)},
                                                 {"GIT_AUTHOR_DATE", date},
                                                 {"GIT_COMMITTER_NAME", std::string(kBotName)},
                                                 {"GIT_COMMITTER_EMAIL", std::string(kBotAddress)},
                                                 {"GIT_COMMITTER_DATE", date}}});
    if (!done) co_return std::unexpected(done.error());
    co_return files;
}

Task<Result<void>> Scaffolder::finish(std::string project_id, Repository repository) {
    auto changed = co_await api_.change<contracts::Project>(
        target_of(project_id), [repository = std::move(repository)](const contracts::Project& project) {
            boost::json::object changes;
            if (!has_code(project.status)) changes["status"] = "scaffolded";
            if (project.repository_url != repository.url) changes["repository_url"] = repository.url;
            if (repository.github_id && project.github_repo_id != repository.github_id)
                changes["github_repo_id"] = *repository.github_id;
            if (project.config.contains(kErrorNote)) {
                auto config = project.config;
                config.erase(kErrorNote);
                changes["config"] = std::move(config);
            }
            return changes;
        });
    if (!changed) co_return of_project(changed.error(), project_id);
    co_return Result<void>();
}

Task<Result<void>> Scaffolder::give_up(std::string project_id, std::string why) {
    auto changed = co_await api_.change<contracts::Project>(
        target_of(project_id), [why = std::move(why)](const contracts::Project& project) {
            if (has_code(project.status)) return boost::json::object();
            auto config = project.config;
            config[kErrorNote] = why;
            return boost::json::object{{"status", "failed"}, {"config", std::move(config)}};
        });
    if (!changed) co_return of_project(changed.error(), project_id);
    co_return Result<void>();
}

}  // namespace codegen::scaffolder
