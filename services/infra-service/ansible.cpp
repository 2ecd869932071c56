#include "services/infra-service/ansible.hpp"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <memory>

#include "services/infra-service/ssh_connection.hpp"
#include "shared/process/process.hpp"

namespace codegen::infra {
namespace {

constexpr std::size_t kOutput = 16u << 20;
constexpr std::chrono::seconds kClose{5};
// ssh makes "<folder>/<10 digits>" and, for a moment, the same with 17 characters more; a socket's name has 107.
constexpr std::size_t kLongestControlFolder = 75;

std::map<std::string, std::string> environment_of(const RunDirectory& run, const PlaybookRun& wanted) {
    auto out = process::minimal_environment();
    out["HOME"] = run.path().string();
    out["ANSIBLE_CONFIG"] = (run / "ansible.cfg").string();  // empty: none of this host's
    out["ANSIBLE_HOME"] = (run / "ansible").string();
    out["ANSIBLE_LOCAL_TEMP"] = (run / "ansible-tmp").string();
    out["ANSIBLE_CALLBACK_PLUGINS"] = (wanted.playbooks / "callback").string();
    out["ANSIBLE_STDOUT_CALLBACK"] = "codegen_events";
    out["ANSIBLE_NOCOLOR"] = "1";
    out["ANSIBLE_DEPRECATION_WARNINGS"] = "0";
    out["ANSIBLE_PIPELINING"] = "1";
    out["ANSIBLE_RETRY_FILES_ENABLED"] = "0";
    out["ANSIBLE_PYTHON_INTERPRETER"] = "auto_silent";
    out["ANSIBLE_TIMEOUT"] = "20";
    out["PYTHONDONTWRITEBYTECODE"] = "1";
    std::string ssh = fmt::format("-F \"{}\"", wanted.ssh_config.string());
    const auto control = run / "cp";
    if (control.native().size() <= kLongestControlFolder) {
        out["ANSIBLE_SSH_CONTROL_PATH_DIR"] = control.string();
        ssh += " -o ControlMaster=auto -o ControlPersist=60s";
    }
    out["ANSIBLE_SSH_ARGS"] = std::move(ssh);
    return out;
}

std::unexpected<Error> failed(const process::Outcome& outcome, const PlaybookReport& report,
                              const PlaybookRun& wanted) {
    using End = process::Outcome::End;
    if (outcome.end == End::timeout) {
        const auto where = report.task().empty() ? std::string()
                                                 : fmt::format(" in play \"{}\", task \"{}\", host {}", report.play(),
                                                               report.task(), wanted.handle);
        return fail(ErrorCategory::transient, "timeout",
                    fmt::format("{}: stopped after {} s{}; every process of it was killed", wanted.playbook,
                                wanted.limit.count() / 1000, where));
    }
    if (const auto& failure = report.failure())
        return fail(ErrorCategory::permanent, std::string(failure->unreachable ? kUnreachable : "playbook"),
                    failure->describe());
    const auto words = report.last_words();
    return fail(ErrorCategory::permanent, "playbook",
                fmt::format("{}: ansible-playbook: {}{}", wanted.playbook,
                            outcome.end == End::exited ? fmt::format("exit {}", outcome.code) : outcome.describe(),
                            words.empty() ? "" : ": " + words));
}

// Connections that ssh keeps for the next task outlive the last one, as processes of nobody's.
Task<void> close_connections(const RunDirectory* run) {
    std::error_code error;
    for (const auto& socket : std::filesystem::directory_iterator(*run / "cp", error)) {
        process::Spec spec;
        spec.argv = {"ssh", "-F",   "/dev/null", "-o", "ControlPath=\"" + socket.path().string() + "\"",
                     "-O",  "exit", "x"};
        spec.environment = process::minimal_environment();
        static_cast<void>(co_await process::run(std::move(spec), {.timeout = kClose, .output_bytes = 65536}));
    }
}

}  // namespace

Task<Result<PlaybookReport>> run_playbook(const RunDirectory* run, PlaybookRun wanted) {
    const boost::json::object host{{"ansible_become", wanted.become}};
    auto inventory = run->write(
        "inventory.json",
        boost::json::serialize(boost::json::object{{"all", {{"hosts", boost::json::object{{wanted.handle, host}}}}}}));
    if (!inventory) co_return std::unexpected(inventory.error());
    auto settings = run->write("ansible.cfg", "");
    if (!settings) co_return std::unexpected(settings.error());
    auto variables = run->write("variables.json", boost::json::serialize(wanted.variables));
    if (!variables) co_return std::unexpected(variables.error());

    process::Spec spec;
    spec.argv = {wanted.program,
                 "--inventory",
                 inventory->string(),
                 "--extra-vars",
                 "@" + variables->string(),
                 (wanted.playbooks / wanted.playbook).string()};
    spec.environment = environment_of(*run, wanted);
    spec.directory = run->path();
    auto report = std::make_shared<PlaybookReport>();
    auto outcome = co_await process::run(std::move(spec), {.timeout = wanted.limit, .output_bytes = kOutput},
                                         [report, run, on_task = wanted.on_task](std::string_view line) {
                                             switch (report->on_line(line)) {
                                                 case PlaybookReport::Step::started:
                                                     return run->note_process(report->pid());
                                                 case PlaybookReport::Step::task:
                                                     if (on_task) on_task(*report);
                                                     return;
                                                 case PlaybookReport::Step::other:
                                                     return;
                                             }
                                         });
    co_await close_connections(run);
    if (!outcome && outcome.error().code == "spawn")
        co_return fail(
            ErrorCategory::permanent, "missing",
            fmt::format("{} is not on the host that runs infra-service: apt-get install ansible-core, or set "
                        "ANSIBLE_PLAYBOOK ({})",
                        wanted.program, outcome.error().message));
    if (!outcome) co_return std::unexpected(outcome.error());
    if (!outcome->ok() || !report->clean()) co_return failed(*outcome, *report, wanted);
    co_return std::move(*report);
}

}  // namespace codegen::infra
