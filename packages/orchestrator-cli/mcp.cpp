#include "packages/orchestrator-cli/mcp.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>

#include "packages/orchestrator-cli/output.hpp"
#include "packages/orchestrator-cli/permissions.hpp"
#include "shared/json/json.hpp"

namespace codegen::cli {
namespace {
namespace json = boost::json;

constexpr std::string_view kRevisions[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};
constexpr std::string_view kForEyes[] = {"--json", "--text", "--follow"};
constexpr std::size_t kMostRunning = 32;

// JSON-RPC 2.0, section 5.1.
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;
constexpr int kInvalidParams = -32602;

std::string line_of(json::object message) {
    message["jsonrpc"] = "2.0";
    return json::serialize(message);
}

std::string error_line(const json::value& id, int code, std::string message) {
    return line_of({{"id", id}, {"error", {{"code", code}, {"message", std::move(message)}}}});
}

std::string result_line(const json::value& id, json::value result) {
    return line_of({{"id", id}, {"result", std::move(result)}});
}

bool for_eyes(const OptionInfo& option) { return std::ranges::find(kForEyes, option.name) != std::end(kForEyes); }
bool is_tool(const CommandInfo& command) { return !command.group && !command.about; }

// "--agent-command" -> "agent_command", "TASK" -> "task".
std::string argument_name(const OptionInfo& option) {
    std::string out = option.name.substr(option.positional ? 0 : 2);
    for (char& c : out) {
        if (c == '-') c = '_';
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

json::value number_of(const OptionInfo& option, double value) {
    return option.kind == OptionInfo::Kind::integer ? json::value(static_cast<std::int64_t>(value))
                                                    : json::value(value);
}

json::object schema_of(const OptionInfo& option) {
    json::object schema;
    switch (option.kind) {
        case OptionInfo::Kind::flag:
            schema["type"] = "boolean";
            break;
        case OptionInfo::Kind::integer:
            schema["type"] = "integer";
            break;
        case OptionInfo::Kind::number:
            schema["type"] = "number";
            break;
        case OptionInfo::Kind::text:
            schema["type"] = "string";
            break;
    }
    if (!option.choices.empty()) schema["enum"] = json::value_from(option.choices);
    if (option.least) schema["minimum"] = number_of(option, *option.least);
    if (option.most) schema["maximum"] = number_of(option, *option.most);
    if (option.many) schema = {{"type", "array"}, {"items", std::move(schema)}};
    schema["description"] = option.help;
    return schema;
}

std::string description_of(const CommandInfo& command) {
    std::string out = command.help;
    for (const auto& option : command.options)
        for (const auto& other : option.excludes)
            if (option.name < other)  // each knows of the other
                out += fmt::format(". Not with each other: {} and {}", option.name, other);
    return out;
}

std::expected<std::string, std::string> text_of(const OptionInfo& option, const json::value& value) {
    const auto wrong = [&](std::string_view expected) {
        return std::unexpected(fmt::format("argument \"{}\" is {}: expected {}", argument_name(option),
                                           one_line(json::serialize(value), 80), expected));
    };
    switch (option.kind) {
        case OptionInfo::Kind::flag:
            break;
        case OptionInfo::Kind::integer:
            if (value.is_int64() || value.is_uint64()) return json::serialize(value);
            return wrong("a whole number");
        case OptionInfo::Kind::number:
            if (value.is_number()) return fmt::format("{}", value.to_number<double>());
            return wrong("a number");
        case OptionInfo::Kind::text:
            break;
    }
    if (!value.is_string()) return wrong("a string");
    if (value.get_string().find('\0') != json::string::npos) return wrong("a string without a zero byte");
    return std::string(value.get_string());
}

json::object tool_result(json::object envelope) {
    const auto* success = envelope.if_contains("success");
    const bool good = success && success->is_bool() && success->get_bool();
    return {{"content", json::array{json::object{{"type", "text"}, {"text", json::serialize(envelope)}}}},
            {"structuredContent", std::move(envelope)},
            {"isError", !good}};
}

std::string last_line(std::string_view text) {
    while (text.ends_with('\n')) text.remove_suffix(1);
    return std::string(text.substr(text.rfind('\n') + 1));
}

json::object failure_envelope(std::string kind, std::string message) {
    return {{"success", false}, {"error", std::move(kind)}, {"message", std::move(message)}, {"details", nullptr}};
}

const json::object& object_in(const json::object& message, std::string_view name) {
    static const json::object kNone;
    const auto* found = message.if_contains(name);
    return found && found->is_object() ? found->get_object() : kNone;
}

}  // namespace

json::array mcp_tools(const std::vector<CommandInfo>& tree, const std::optional<std::vector<std::string>>& allowed) {
    json::array tools;
    for (const auto& command : tree) {
        if (!is_tool(command) || (allowed && !is_allowed(*allowed, command.permission()))) continue;
        json::object properties;
        json::array required;
        for (const auto& option : command.options) {
            if (for_eyes(option)) continue;
            properties[argument_name(option)] = schema_of(option);
            if (option.required) required.push_back(json::string(argument_name(option)));
        }
        json::object input{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
        if (!required.empty()) input["required"] = std::move(required);
        tools.push_back(json::object{{"name", command.name('_')},
                                     {"title", command.name(' ')},
                                     {"description", description_of(command)},
                                     {"inputSchema", std::move(input)}});
    }
    return tools;
}

std::expected<std::vector<std::string>, std::string> mcp_command_line(const CommandInfo& command,
                                                                      const json::object& arguments) {
    std::vector<std::string> known;
    std::vector<std::string> options;
    std::vector<std::string> positionals;
    for (const auto& option : command.options) {
        if (for_eyes(option)) continue;
        const auto name = argument_name(option);
        known.push_back(name);
        const auto* given = arguments.if_contains(name);
        if (!given || given->is_null()) {
            if (option.required) return std::unexpected(fmt::format("argument \"{}\" is missing", name));
            continue;
        }
        if (option.kind == OptionInfo::Kind::flag) {
            if (!given->is_bool())
                return std::unexpected(fmt::format("argument \"{}\" is {}: expected true or false", name,
                                                   one_line(json::serialize(*given), 80)));
            if (given->get_bool()) options.push_back(option.name);
            continue;
        }
        if (option.many != given->is_array())
            return std::unexpected(fmt::format("argument \"{}\" is {}: expected {}", name,
                                               one_line(json::serialize(*given), 80),
                                               option.many ? "a list" : "one value"));
        const auto values = option.many ? given->get_array() : json::array{*given};
        for (const auto& value : values) {
            auto text = text_of(option, value);
            if (!text) return std::unexpected(text.error());
            if (option.positional) {
                positionals.push_back(std::move(*text));
            } else if (text->empty()) {
                options.insert(options.end(), {option.name, ""});
            } else {
                options.push_back(option.name + "=" + *text);
            }
        }
    }
    for (const auto& [name, value] : arguments)
        if (std::ranges::find(known, name) == known.end())
            return std::unexpected(fmt::format("unknown argument \"{}\"; {} takes {}", std::string_view(name),
                                               command.name('_'),
                                               known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
    auto line = command.path;
    line.push_back("--json");
    line.insert(line.end(), options.begin(), options.end());
    if (!positionals.empty()) line.push_back("--");
    line.insert(line.end(), positionals.begin(), positionals.end());
    return line;
}

McpSession::McpSession(std::vector<CommandInfo> tree, std::optional<std::vector<std::string>> allowed)
    : tree_(std::move(tree)), allowed_(std::move(allowed)) {}

McpSession::Step McpSession::on_line(std::string_view line) {
    const auto parsed = codegen::json::parse_any(line);
    if (!parsed) return {.reply = error_line(nullptr, kParseError, "this line is not JSON")};
    const auto* message = parsed->if_object();
    const auto* id = message ? message->if_contains("id") : nullptr;
    const bool usable_id = id && (id->is_string() || id->is_int64() || id->is_uint64());
    const auto refuse = [&](int code, std::string why) {
        return Step{.reply = error_line(usable_id ? *id : json::value(), code, std::move(why))};
    };
    if (!message) return refuse(kInvalidRequest, "expected one JSON-RPC message, an object, a line");
    const auto* method = message->if_contains("method");
    if (!method && (message->contains("result") || message->contains("error"))) return {};  // we asked nothing
    const auto* version = message->if_contains("jsonrpc");
    if (!version || *version != "2.0") return refuse(kInvalidRequest, "jsonrpc is not \"2.0\"");
    if (!method || !method->is_string()) return refuse(kInvalidRequest, "method is missing");
    const std::string_view name = method->get_string();
    const auto& parameters = object_in(*message, "params");
    if (!id) {
        if (name != "notifications/cancelled") return {};
        const auto* which = parameters.if_contains("requestId");
        const auto key = which ? json::serialize(*which) : std::string();
        return running_.contains(key) ? Step{.cancel = key} : Step{};
    }
    if (!usable_id) return refuse(kInvalidRequest, "id is neither a string nor a whole number");
    if (name == "ping") return {.reply = result_line(*id, json::object())};
    if (name == "initialize") {
        const auto* wanted = parameters.if_contains("protocolVersion");
        if (!wanted || !wanted->is_string()) return refuse(kInvalidParams, "protocolVersion is missing");
        initialized_ = true;
        const auto known = std::ranges::find(kRevisions, std::string_view(wanted->get_string()));
        return {
            .reply = result_line(
                *id, {{"protocolVersion", known == std::end(kRevisions) ? kRevisions[0] : *known},
                      {"capabilities", {{"tools", json::object()}}},
                      {"serverInfo",
                       {{"name", "orchestrator"}, {"title", "Codegen Orchestrator"}, {"version", CODEGEN_VERSION}}},
                      {"instructions",
                       "The commands of Codegen Orchestrator: projects, tasks for coding agents, their workers. Each "
                       "tool is one command and answers its JSON envelope: success, data, message."}})};
    }
    if (!initialized_) return refuse(kInvalidRequest, "initialize comes first");
    if (name == "tools/list") return {.reply = result_line(*id, {{"tools", mcp_tools(tree_, allowed_)}})};
    if (name == "tools/call") return call_tool(*id, parameters);
    return refuse(kMethodNotFound,
                  fmt::format("no method {}; there are initialize, ping, tools/list, tools/call", name));
}

McpSession::Step McpSession::call_tool(const json::value& id, const json::object& parameters) {
    const auto* name = parameters.if_contains("name");
    const auto command = std::ranges::find_if(tree_, [&](const CommandInfo& each) {
        return is_tool(each) && name && name->is_string() && each.name('_') == std::string_view(name->get_string());
    });
    if (command == tree_.end())
        return {.reply = error_line(id, kInvalidParams,
                                    fmt::format("unknown tool {}; tools/list names them",
                                                name ? json::serialize(*name) : "(no name)"))};
    if (allowed_ && !is_allowed(*allowed_, command->permission())) {
        auto envelope =
            failure_envelope("permission_denied", fmt::format("this caller may not use \"{}\"", command->permission()));
        envelope["allowed_commands"] = json::value_from(*allowed_);
        return {.reply = result_line(id, tool_result(std::move(envelope)))};
    }
    const auto* arguments = parameters.if_contains("arguments");
    if (arguments && !arguments->is_object() && !arguments->is_null())
        return {.reply = error_line(id, kInvalidParams, "arguments: expected an object")};
    auto line = mcp_command_line(*command, object_in(parameters, "arguments"));
    if (!line) return {.reply = result_line(id, tool_result(failure_envelope("usage", line.error())))};
    if (running_.size() >= kMostRunning)
        return {.reply = result_line(id, tool_result(failure_envelope(
                                             "unavailable", fmt::format("{} calls are running: wait for one to end",
                                                                        running_.size()))))};
    auto key = json::serialize(id);
    if (!running_.insert(key).second)
        return {.reply = error_line(id, kInvalidRequest, "a request with this id is running")};
    return {.call = Call{std::move(key), std::move(*line)}};
}

std::string McpSession::answer(const std::string& key, std::string_view output, std::string_view errors) {
    running_.erase(key);
    const auto id = json::parse(key);
    auto envelope = codegen::json::parse_any(last_line(output));
    if (envelope && envelope->is_object() && envelope->get_object().contains("success"))
        return result_line(id, tool_result(std::move(envelope->get_object())));
    // Bytes as they are (`dlq show --raw`), or a command that died.
    if (!output.empty())
        return result_line(
            id, tool_result({{"success", true}, {"data", json_text(output)}, {"message", "the bytes alone"}}));
    return result_line(id,
                       tool_result(failure_envelope("internal", "the command gave no answer: " + last_line(errors))));
}

std::string McpSession::too_long() { return error_line(nullptr, kParseError, "the line is longer than 16 MB"); }

}  // namespace codegen::cli
