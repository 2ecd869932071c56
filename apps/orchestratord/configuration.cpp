#include "apps/orchestratord/configuration.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <charconv>
#include <limits>
#include <stdexcept>

#include "shared/agents/agent.hpp"
#include "shared/http/url.hpp"
#include "shared/json/enum.hpp"
#include "shared/posix/file.hpp"

namespace codegen::orchestratord {
namespace {

using enum Setting::Kind;

// What is read elsewhere: by the command and by the libraries that speak HTTP and TLS.
constexpr std::string_view kOtherVariables = R"(
## Proxies and authorities
`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` (also in lower case) are followed on the way to model providers and to GitHub, and by git. What
`EGRESS_ALLOW` opens is reached directly. `SSL_CERT_FILE` and `SSL_CERT_DIR` name authorities beside those of the system.

## The command
`orchestrator` reads these; flags it has none for them.

| variable | meaning |
|---|---|
| `CODEGEN_STATE_DIR` | where it finds the control plane of this machine: its sockets and tokens; default as above |
| `API_URL` | where the API is, instead of there |
| `ORCHESTRATOR_TOKEN` | the token it acts with; default the file admin.token of the state directory |
| `REDIS_URL`, `REDIS_CA_FILE` | where Redis is; default the file redis.url of the state directory |
| `ALLOWED_COMMANDS` | the commands that it may do, separated by commas, e.g. `project.*,engineering.status`; the rest is refused before anything is asked |
| `TRACEPARENT`, `CORRELATION_ID` | the trace and the id under which logs and messages of this call are found |
| `NO_COLOR` | no colours on a terminal |
)";

constexpr std::string_view kDefaultFile = "/etc/codegen/config.yaml";

// clang-format off
constexpr std::array kOwnSettings{
    Setting{text, "CODEGEN_STATE_DIR", "--state-dir", "", "the one directory that holds everything; default /var/lib/codegen for root, else $XDG_STATE_HOME/codegen or ~/.local/state/codegen", ""},
    Setting{choice, "LOG_LEVEL", "--log-level", "info", "least important level that is logged", "debug|info|warning|error"},
    Setting{choice, "LOG_FORMAT", "--log-format", "console", "how a log line looks", "console|json"},
    Setting{text, "API_ADDRESS", "--api-address", "", "host:port on which the API listens beside its unix socket; `serve` and `make up`: 127.0.0.1:8000, `dev`: none", ""},
    Setting{size, "API_BODY_LIMIT", "", "4m", "largest request body of the API", ""},
    Setting{integer, "API_RATE_LIMIT", "", "60000", "requests a minute of one token, also all at once; beyond it 429; 0: no limit", ""},
    Setting{text, "API_CORS_ORIGINS", "", "", "comma-separated origins whose pages may use the API from a browser, e.g. https://panel.example; * for all", ""},
    Setting{Setting::Kind::flag, "ALLOW_HEADER_AUTH", "", "0", "1: X-Telegram-ID without a token is believed on loopback TCP; development only", ""},
    Setting{secret, "SECRETS_KEY", "", "", "key that secrets in the database are encrypted with: 64 hex digits, or 32 bytes in base64; the same for every api of one database", ""},
    Setting{text, "SECRETS_KEY_FILE", "", "", "file that holds it; default secrets.key in the state directory, made at the first start", ""},
    Setting{text, "OBSERVE_ADDRESS", "", "", "IP address:port on which this process, whatever its roles, also answers /health, /ready, /metrics and /log-level, beside the unix socket observe*.sock in the state directory", ""},
    Setting{text, "API_URL", "--api-url", "", "where roles find the API; default the socket in the state directory", ""},
    Setting{secret, "SERVICE_TOKEN", "", "", "the roles' token for the API; default the file service.token in the state directory", ""},
    Setting{secret, "DATABASE_URL", "--database", "", "path of the SQLite file, or postgresql://user:password@host:port/database (a password belongs in the environment or the file, not in the flag); default codegen.db in the state directory", ""},
    Setting{secret, "REDIS_URL", "--redis-url", "", "redis://, rediss://, unix:// or redis+sentinel://host,host/master (rediss+sentinel:// with TLS), with user and password; `dev` starts a private server when it is unset", ""},
    Setting{text, "REDIS_CA_FILE", "", "", "PEM file of the authorities that sign the TLS certificate of Redis and its sentinels; default those of the system, or `?ca=FILE` in REDIS_URL", ""},
    Setting{choice, "RUNTIME", "--runtime", "auto", "where workers run; auto: Docker when an engine answers and this runs as root, else the sandbox; process: plain processes without a wall, for the inside of an unprivileged container; demo: as auto, and process for scripted agents where neither works (`make run` says it for its demo)", "auto|docker|sandbox|process|demo", "WORKER_RUNTIME"},
    Setting{text, "DOCKER_HOST", "", "unix:///var/run/docker.sock", "the Docker engine's socket", ""},
    Setting{text, "CODEGEN_HOST", "", "", "name of this worker host; default the host name", ""},
    Setting{text, "MANAGER_ADDRESS", "--manager-address", "", "IP address:port on which the worker-manager also listens for people, beside its unix socket; plain HTTP: loopback, a private network, or behind a proxy with TLS", ""},
    Setting{text, "MANAGER_URL", "", "", "how other machines reach this worker-manager; default made from MANAGER_ADDRESS, else the socket in the state directory", ""},
    Setting{size, "WORKER_LOG_LIMIT", "", "4m", "most that is kept of a worker's log, of its transcript and of its raw output, each; the oldest half goes first", ""},
    Setting{size, "WORKER_LOG_TOTAL", "", "512m", "most that is kept of all workers that are gone; the oldest go first", ""},
    Setting{integer, "WORKER_LOG_DAYS", "", "7", "days that log and transcript of a worker stay readable after its end", ""},
    Setting{count, "MAX_CONCURRENT_WORKERS", "", "10", "workers that exist at once; more wait in order", ""},
    Setting{integer, "WARM_POOL", "", "0", "Docker: prepared workers of each of the last three kinds (image, limits) that were asked for within 30 minutes; they give way when MAX_CONCURRENT_WORKERS is reached", ""},
    Setting{count, "WORKER_CREATION_TIMEOUT", "", "300", "seconds that a create waits for a slot before it fails with no_capacity", ""},
    Setting{size, "WORKER_MEMORY_LIMIT", "", "2g", "memory of a worker of agent custom that asks for none", ""},
    Setting{size, "WORKER_MEMORY_CAP", "", "8g", "most memory that a worker may ask for", ""},
    Setting{number, "WORKER_CPU_LIMIT", "", "2", "CPUs of a worker that asks for none", ""},
    Setting{number, "WORKER_CPU_CAP", "", "", "most CPUs that a worker may ask for; default WORKER_CPU_LIMIT", ""},
    Setting{count, "WORKER_PIDS_LIMIT", "", "512", "processes and threads of a worker that asks for none", ""},
    Setting{count, "WORKER_PIDS_CAP", "", "4096", "most processes and threads that a worker may ask for", ""},
    Setting{choice, "WORKER_MEMORY_CHECK", "", "on", "on: a worker waits, as for a slot, until this host has its memory limit available; off: only slots count", "on|off"},
    Setting{text, "WORKER_NETWORK", "", "none", "a Docker network for workers instead of none; the gateway stays", ""},
    Setting{text, "WORKER_NETWORKS", "", "", "Docker networks that a worker's configuration may name, separated by commas", ""},
    Setting{text, "WORKER_BASE_IMAGE", "", "", "base of built worker images; default debian:bookworm-slim, or, where that cannot be pulled, one made from Debian packages", ""},
    Setting{text, "HOST_SESSIONS", "", "", "logins that agents may use instead of a key: agent=DIRECTORY, separated by commas; each is lent, writable, to one worker at a time that asks for auth_mode host_session", ""},
    Setting{text, "DOCKER_CAPABILITY", "", "refuse", "what a worker that asks for the capability docker gets; refuse; socket: this host's engine, which is root on this host for whatever the agent runs; runtime:NAME: an engine of its own, inside an OCI runtime that walls its root off, e.g. runtime:sysbox-runc", ""},
    Setting{integer, "IMAGE_KEEP_DAYS", "", "7", "days after its last use that a built image is removed; 0: never", ""},
    Setting{choice, "SCAFFOLDER", "", "on", "`dev`: whether it makes the first code base of a project from a template; off: a project begins with a README", "on|off"},
    Setting{choice, "REPOSITORY_HOST", "", "local", "where the repositories of new projects are made: bare ones in the state directory, or in the organisation GITHUB_ORG", "local|github"},
    Setting{text, "COPIER", "", "", "the program Copier; default the one that tools/copier.sh installs, else copier in PATH", ""},
    Setting{count, "SCAFFOLD_TIMEOUT", "", "300", "seconds that fetching a template may take, and applying it", ""},
    Setting{text, "TEMPLATE_DIRECTORIES", "", "", "directories of this machine, separated by commas, in which external templates may lie", ""},
    Setting{text, "TEMPLATE_TRUSTED", "", "", "external templates, or what their URLs begin with, separated by commas, that may run tasks, migrations and Jinja extensions of their own, with the rights of the scaffolder", ""},
    Setting{text, "TASK_RETRIES", "", "infrastructure=1,out_of_memory=1", "how often a task is tried again by the reason that its attempt failed for; each out_of_memory attempt has twice the memory of the one before", ""},
    Setting{integer, "TEST_RETURNS", "", "3", "how often a developer gets its work back when the project's tests fail", ""},
    Setting{count, "TEST_TIMEOUT", "", "600", "seconds that a run of the project's tests may take", ""},
    Setting{integer, "BLOCKED_WORKER", "", "600", "seconds that the worker of a blocked agent waits for its person; then only its workspace and conversation are kept", ""},
    Setting{count, "SANDBOX_UID_BASE", "", "200000", "first host uid of sandboxed agents when this runs as root", ""},
    Setting{count, "WORKER_SESSION_TTL", "", "7200", "seconds that a conversation nobody goes on with is kept", ""},
    Setting{integer, "WORKER_IDLE_PAUSE", "", "600", "seconds after which a Product Owner's worker that nobody speaks to is paused; 0: never", ""},
    Setting{integer, "WORKER_IDLE_REMOVE", "", "1800", "seconds after which it is removed, its conversation kept; 0: never", ""},
    Setting{size, "BUNDLE_LIMIT", "", "100m", "largest bundle of commits that leaves a worker", ""},
    Setting{size, "UNPACKED_LIMIT", "", "150m", "most that the objects of those commits may unpack to", ""},
    Setting{text, "EGRESS_ALLOW", "", "", "comma-separated host:port patterns that workers may reach by CONNECT, e.g. registry.npmjs.org:443,*.debian.org:80", ""},
    Setting{integer, "MAX_TOKENS_PER_TASK", "", "0", "tokens of model usage, of all kinds, after which a task is stopped with reason budget; 0: no limit", ""},
    Setting{integer, "PROVIDER_PATIENCE", "", "120", "seconds of nothing but failures of the model provider after which a run is stopped with reason provider_error; 0: endless", ""},
    Setting{secret, "ANTHROPIC_API_KEY", "", "", "key of the model provider; stays in the control plane, the gateway puts it in", ""},
    Setting{secret, "ANTHROPIC_AUTH_TOKEN", "", "", "the same as a bearer token", ""},
    Setting{url, "ANTHROPIC_BASE_URL", "", "https://api.anthropic.com", "where the model provider is", ""},
    Setting{secret, "OPENAI_API_KEY", "", "", "key of OpenAI or of a provider that speaks its API; stays in the control plane", ""},
    Setting{url, "OPENAI_BASE_URL", "", "https://api.openai.com", "where it is, with or without /v1", ""},
    Setting{secret, "FACTORY_API_KEY", "", "", "key of Factory, for Factory's own models; stays in the control plane. Droid runs with the keys above without it", ""},
    Setting{url, "FACTORY_API_BASE_URL", "", "https://api.factory.ai", "where Factory's API is", ""},
    Setting{text, "GITHUB_ORG", "", "", "organisation on GitHub in which repositories are made and used; required with the App", ""},
    Setting{text, "GITHUB_APP_ID", "", "", "id of the GitHub App that is installed there", ""},
    Setting{secret, "GITHUB_APP_PRIVATE_KEY", "", "", "the App's private key, PEM (line breaks may be written as \\n); stays in the control plane", ""},
    Setting{text, "GITHUB_APP_PRIVATE_KEY_FILE", "", "", "file that holds it", ""},
    Setting{choice, "PULL_REQUESTS", "", "off", "on: each completed task of a project on GitHub opens a pull request of its branch into the default branch", "off|on"},
    Setting{url, "GITHUB_API_URL", "", "https://api.github.com", "where GitHub's API is; GitHub Enterprise Server: https://HOST/api/v3", ""},
    Setting{secret, "INFRA_TOKEN", "", "", "infra-service's token for the API, which alone reads the keys of servers; default the file infra.token in the state directory", ""},
    Setting{text, "ANSIBLE_PLAYBOOK", "", "ansible-playbook", "the program that provisions servers; Debian's package ansible-core has it", ""},
    Setting{count, "PROVISION_TIMEOUT", "", "900", "seconds that a provisioning may take; then every process of it is stopped", ""},
    Setting{count, "PROVISION_PARALLEL", "", "4", "servers that one infra-service works on at once", ""},
    Setting{text, "PROVISION_PORTS", "", "80,443", "ports that the firewall of a server lets in, beside SSH's and those that are allocated on it", ""},
    Setting{url, "TIME4VPS_URL", "", "https://billing.time4vps.com/api", "where Time4VPS' API is", ""},
    Setting{text, "TIME4VPS_USER", "", "", "login of the account at Time4VPS whose servers may be installed anew", ""},
    Setting{secret, "TIME4VPS_PASSWORD", "", "", "its password", ""},
};
// clang-format on

// <AGENT>_MEMORY_LIMIT of each agent that has a default of its own; they follow the general limit.
std::vector<Setting> all_settings() {
    static std::vector<std::array<std::string, 3>> texts;  // what the settings refer to
    texts.reserve(agent_memory_settings().size());
    std::vector<Setting> all;
    for (const auto& own : kOwnSettings) {
        all.push_back(own);
        if (own.name != "WORKER_MEMORY_LIMIT") continue;
        for (const auto& [agent, name] : agent_memory_settings()) {
            const auto& known = agents::agent_of(agent).description();
            const auto& text = texts.emplace_back(std::array{
                name, fmt::format("{}m", known.memory_bytes >> 20),
                fmt::format("the same for a worker of agent {}: {}", json::name_of(agent), known.memory_note)});
            all.push_back({size, text[0], "", text[1], text[2], ""});
        }
    }
    return all;
}

const Setting& find(std::string_view name) {
    for (const auto& s : settings())
        if (s.name == name) return s;
    throw std::logic_error(fmt::format("no setting {}", name));
}

bool is_choice(std::string_view choices, std::string_view value) {
    for (std::size_t at = 0; at <= choices.size();) {
        const auto end = std::min(choices.find('|', at), choices.size());
        if (choices.substr(at, end - at) == value) return true;
        at = end + 1;
    }
    return false;
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// What is wrong with the value, or empty.
std::string expectation(const Setting& s, std::string_view value) {
    switch (s.kind) {
        case integer: {
            const auto n = parse_number<std::int64_t>(value);
            return n && *n >= 0 ? "" : "a whole number of at least 0";
        }
        case count: {
            const auto n = parse_number<std::int64_t>(value);
            return n && *n >= 1 ? "" : "a whole number of at least 1";
        }
        case Setting::Kind::flag:
            return value == "0" || value == "1" ? "" : "0 or 1";
        case url: {
            const auto parsed = http::parse_url(value);
            return parsed ? "" : "a URL that begins with http:// or https://";
        }
        case number: {
            const auto n = parse_number<double>(value);
            return n && *n > 0 ? "" : "a number above 0";
        }
        case size:
            return parse_size(value) ? "" : "a size such as 512m or 2g";
        case choice:
            return is_choice(s.choices, value) ? "" : fmt::format("one of {}", s.choices);
        case text:
        case secret:
            return "";
    }
    std::unreachable();
}

std::string lower(std::string_view name) {
    std::string out(name);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

Result<std::map<std::string, std::string>> read_file(const std::filesystem::path& path) {
    std::map<std::string, std::string> out;
    std::error_code ignored;
    const auto target = std::filesystem::canonical(path, ignored);  // it may be a link
    const auto text = posix::read_file(target.empty() ? path : target, 1u << 20);
    if (!text) return fail(ErrorCategory::fatal, "configuration", "settings file " + text.error().message);
    try {
        const auto root = YAML::Load(*text);
        if (root.IsNull()) return out;
        if (!root.IsMap())
            return fail(ErrorCategory::fatal, "configuration",
                        fmt::format("{}: expected a mapping of settings", path.string()));
        for (const auto& item : root) {
            const auto key = item.first.as<std::string>();
            const bool known = std::ranges::any_of(settings(), [&](const Setting& s) { return lower(s.name) == key; });
            if (!known)
                return fail(
                    ErrorCategory::fatal, "configuration",
                    fmt::format("{}: unknown setting \"{}\"; docs/configuration.md lists them", path.string(), key),
                    key);
            if (out.contains(key))
                return fail(ErrorCategory::fatal, "configuration",
                            fmt::format("{}: {} stands there twice", path.string(), key), key);
            if (!item.second.IsScalar())
                return fail(ErrorCategory::fatal, "configuration",
                            fmt::format("{}: {} must be one value", path.string(), key), key);
            out[key] = item.second.as<std::string>();
        }
    } catch (const YAML::Exception& e) {
        return fail(ErrorCategory::fatal, "configuration", fmt::format("{}: {}", path.string(), e.what()));
    }
    return out;
}

}  // namespace

std::span<const Setting> settings() {
    static const std::vector<Setting> all = all_settings();
    return all;
}

const std::map<contracts::AgentType, std::string>& agent_memory_settings() {
    static const auto names = [] {
        std::map<contracts::AgentType, std::string> out;
        boost::mp11::mp_for_each<boost::describe::describe_enumerators<contracts::AgentType>>([&](auto agent) {
            if (agents::agent_of(agent.value).description().memory_bytes == 0) return;
            std::string name = agent.name;
            std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
            out[agent.value] = name + "_MEMORY_LIMIT";
        });
        return out;
    }();
    return names;
}

std::optional<std::int64_t> parse_size(std::string_view value) {
    std::int64_t unit = 1;
    if (!value.empty()) {
        switch (value.back()) {
            case 'k':
            case 'K':
                unit = 1ll << 10;
                break;
            case 'm':
            case 'M':
                unit = 1ll << 20;
                break;
            case 'g':
            case 'G':
                unit = 1ll << 30;
                break;
            default:
                break;
        }
        if (unit != 1) value.remove_suffix(1);
    }
    const auto n = parse_number<std::int64_t>(value);
    if (!n || *n <= 0 || *n > std::numeric_limits<std::int64_t>::max() / unit) return std::nullopt;
    return *n * unit;
}

Result<Configuration> Configuration::load(const std::map<std::string, std::string>& flags,
                                          const Environment& environment,
                                          const std::optional<std::filesystem::path>& file) {
    std::map<std::string, std::string> from_file;
    std::error_code ignored;
    const std::filesystem::path path = file.value_or(std::filesystem::path(kDefaultFile));
    if (file || std::filesystem::exists(path, ignored)) {
        auto read = read_file(path);
        if (!read) return std::unexpected(read.error());
        from_file = std::move(*read);
    }
    Configuration out;
    for (const auto& s : settings()) {
        const std::string name(s.name);
        std::string value;
        std::string origin;
        if (auto flag = flags.find(name); flag != flags.end()) {
            value = flag->second;
            origin = fmt::format("{} (flag {})", name, s.flag);
        } else if (auto from_environment = environment(name); from_environment && !from_environment->empty()) {
            value = *from_environment;
            origin = name;
        } else if (auto other = s.also.empty() ? std::nullopt : environment(s.also); other && !other->empty()) {
            value = *other;
            origin = s.also;
        } else if (auto item = from_file.find(lower(name)); item != from_file.end()) {
            value = item->second;
            origin = fmt::format("{}: {}", path.string(), lower(name));
        } else {
            value = s.fallback;
            origin = "default";
            out.defaulted_.insert(name);
        }
        if (value.empty()) continue;
        if (const auto expected = expectation(s, value); !expected.empty())
            return fail(ErrorCategory::fatal, "configuration",
                        fmt::format("{} is \"{}\": expected {}", origin, value, expected), name);
        out.values_[name] = std::move(value);
    }
    if (auto fitting = out.check_limits(); !fitting) return std::unexpected(std::move(fitting.error()));
    return out;
}

// No default may be beyond the cap beside it.
Result<void> Configuration::check_limits() const {
    const auto within = [&](std::string_view limit, std::string_view cap, auto limit_value,
                            auto cap_value) -> Result<void> {
        if (limit_value <= cap_value) return {};
        return fail(ErrorCategory::fatal, "configuration",
                    fmt::format("{} is \"{}\", which is less than {} \"{}\": lower the one or raise the other", cap,
                                text(cap), limit, text(limit)),
                    std::string(cap));
    };
    std::vector<std::string_view> memory{"WORKER_MEMORY_LIMIT"};
    for (const auto& [agent, name] : agent_memory_settings())
        if (!defaulted_.contains(name)) memory.push_back(name);  // who never runs that agent need not lower its default
    for (const auto name : memory)
        if (auto ok = within(name, "WORKER_MEMORY_CAP", bytes(name), bytes("WORKER_MEMORY_CAP")); !ok) return ok;
    if (is_set("WORKER_CPU_CAP"))
        if (auto ok =
                within("WORKER_CPU_LIMIT", "WORKER_CPU_CAP", number("WORKER_CPU_LIMIT"), number("WORKER_CPU_CAP"));
            !ok)
            return ok;
    return within("WORKER_PIDS_LIMIT", "WORKER_PIDS_CAP", integer("WORKER_PIDS_LIMIT"), integer("WORKER_PIDS_CAP"));
}

std::string Configuration::text(std::string_view name) const { return optional_text(name).value_or(""); }

std::optional<std::string> Configuration::optional_text(std::string_view name) const {
    find(name);
    const auto it = values_.find(name);
    if (it == values_.end()) return std::nullopt;
    return it->second;
}

std::int64_t Configuration::integer(std::string_view name) const {
    return parse_number<std::int64_t>(text(name)).value_or(0);
}
std::vector<std::string> Configuration::list(std::string_view name) const {
    std::vector<std::string> out;
    const auto all = text(name);
    for (std::size_t at = 0; at < all.size();) {
        const auto end = std::min(all.find(',', at), all.size());
        auto item = std::string_view(all).substr(at, end - at);
        while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
        while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
        if (!item.empty()) out.emplace_back(item);
        at = end + 1;
    }
    return out;
}
double Configuration::number(std::string_view name) const { return parse_number<double>(text(name)).value_or(0); }
std::int64_t Configuration::bytes(std::string_view name) const { return parse_size(text(name)).value_or(0); }
bool Configuration::is_set(std::string_view name) const { return optional_text(name).has_value(); }

std::string settings_markdown() {
    std::string out =
        "# Configuration\n\nMade from the code by `make docs`; do not edit.\n\nA value comes from the flag, else the "
        "environment "
        "variable, else the YAML file (`--config FILE`, or `/etc/codegen/config.yaml` if it is there; keys are the "
        "names in lower "
        "case), else the default. Sizes take `k`, `m`, `g`. Secrets are never logged.\n\n"
        "| variable | flag | default | meaning |\n|---|---|---|---|\n";
    for (const auto& s : settings()) {
        std::string meaning(s.meaning);
        if (!s.choices.empty()) {
            meaning += " (";
            for (char c : s.choices) c == '|' ? meaning += ", " : meaning += c;
            meaning += ")";
        }
        if (!s.also.empty()) meaning += fmt::format("; `{}` is read too", s.also);
        out += fmt::format("| `{}` | {} | {} | {} |\n", s.name, s.flag.empty() ? "" : fmt::format("`{}`", s.flag),
                           s.fallback.empty() ? "" : fmt::format("`{}`", s.fallback), meaning);
    }
    out += kOtherVariables;
    return out;
}

}  // namespace codegen::orchestratord
