#include "services/scaffolder/copier.hpp"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"

namespace codegen::scaffolder {
namespace {

constexpr std::int64_t kMemory = 2ll << 30;
constexpr std::int64_t kLargestFile = 256ll << 20;
constexpr std::string_view kInstall =
    "install it with tools/copier.sh of the sources, or pip install copier in a virtual environment, and say where it "
    "is with COPIER";

std::unexpected<Error> broken(std::string why) { return fail(ErrorCategory::permanent, "copier", std::move(why)); }

// The text between `before` and `after`, or empty.
std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
    const auto at = text.find(before);
    if (at == text.npos) return {};
    text.remove_prefix(at + before.size());
    return text.substr(0, text.find(after));
}

std::string last_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
    return std::string(text.substr(text.rfind('\n') + 1).substr(0, 600));
}

// In the words of whoever asked for the project.
std::string explain(const process::Outcome& outcome) {
    const std::string_view errors = outcome.errors;
    const auto last = last_line(errors);
    if (const auto question = between(last, "Question \"", "\" is required"); !question.empty())
        return fmt::format("the template asks \"{0}\", which has no default: answer it with --data {0}=VALUE",
                           question);
    if (const auto feature = between(errors, "potentially unsafe feature", "\n"); !feature.empty())
        return fmt::format(
            "the template uses what runs things of its own{}: refused, unless the operator trusts it "
            "(TEMPLATE_TRUSTED)",
            feature.substr(0, feature.find('.')));
    return fmt::format("copier: exit {}: {}", outcome.code, last);
}

}  // namespace

Task<Result<void>> run_copier(CopierCall call) {
    // JSON is YAML.
    const auto answers = call.scratch / "answers.yml";
    auto written = posix::replace_file(answers, boost::json::serialize(call.answers), 0600);
    if (!written) co_return std::unexpected(written.error());

    process::Spec spec;
    spec.argv = {"prlimit", fmt::format("--as={}", kMemory), fmt::format("--fsize={}", kLargestFile), "--core=0", "--"};
    spec.argv.insert(spec.argv.end(), call.program.begin(), call.program.end());
    spec.argv.insert(spec.argv.end(), {"copy", "--quiet", "--defaults", "--data-file", answers.string()});
    if (call.trusted) spec.argv.push_back("--trust");
    spec.argv.insert(spec.argv.end(), {call.source.string(), call.target.string()});
    spec.environment = process::minimal_environment();
    spec.environment["HOME"] = call.scratch.string();
    spec.environment["TMPDIR"] = call.scratch.string();
    spec.environment["LC_ALL"] = "C.UTF-8";
    spec.environment["PYTHONDONTWRITEBYTECODE"] = "1";
    spec.environment["GIT_CONFIG_NOSYSTEM"] = "1";
    spec.environment["GIT_CEILING_DIRECTORIES"] = call.scratch.parent_path().string();
    spec.directory = call.scratch;
    auto outcome = co_await process::run(std::move(spec), {.timeout = call.timeout});
    if (!outcome) co_return std::unexpected(in_context(outcome.error(), "copier"));
    if (outcome->ok()) co_return Result<void>();
    if (outcome->end == process::Outcome::End::timeout)
        co_return fail(ErrorCategory::permanent, "timeout",
                       fmt::format("copier did not end within {} s and was stopped with all that it had started",
                                   std::chrono::duration_cast<std::chrono::seconds>(call.timeout).count()));
    if (outcome->end != process::Outcome::End::exited) co_return broken("copier: " + outcome->describe());
    const bool missing =
        outcome->errors.contains("failed to execute") || outcome->errors.contains("No module named copier");
    if (missing) co_return broken(fmt::format("copier cannot be run ({}): {}", last_line(outcome->errors), kInstall));
    co_return broken(explain(*outcome));
}

}  // namespace codegen::scaffolder
