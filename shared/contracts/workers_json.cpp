#include <boost/json/monotonic_resource.hpp>

#include "shared/contracts/contracts.hpp"
#include "shared/json/instantiate.hpp"

using namespace codegen::contracts;  // NOLINT: nothing but instantiations here

CODEGEN_JSON_INSTANTIATE(POWorkerInput)
CODEGEN_JSON_INSTANTIATE(POWorkerOutput)
CODEGEN_JSON_INSTANTIATE(DeveloperWorkerInput)
CODEGEN_JSON_INSTANTIATE(DeveloperWorkerOutput)
CODEGEN_JSON_INSTANTIATE(WorkerLifecycleEvent)
CODEGEN_JSON_INSTANTIATE(AgentVerdict)
CODEGEN_JSON_INSTANTIATE(AgentUsage)
CODEGEN_JSON_INSTANTIATE(AgentEvent)
CODEGEN_JSON_INSTANTIATE(WorkspaceSpec)
CODEGEN_JSON_INSTANTIATE(WorkerConfig)
CODEGEN_JSON_INSTANTIATE(CreateWorkerCommand)
CODEGEN_JSON_INSTANTIATE(CollectWorkerCommand)
CODEGEN_JSON_INSTANTIATE(DeleteWorkerCommand)
CODEGEN_JSON_INSTANTIATE(StatusWorkerCommand)
CODEGEN_JSON_INSTANTIATE(CreateWorkerResponse)
CODEGEN_JSON_INSTANTIATE(DeleteWorkerResponse)
CODEGEN_JSON_INSTANTIATE(StatusWorkerResponse)
CODEGEN_JSON_INSTANTIATE(CollectWorkerResponse)

namespace codegen::contracts {
namespace {

using Reader = json::Parsed<WorkerCommand> (*)(std::string_view);

template <class T, json::Parsed<T> (*read)(std::string_view)>
json::Parsed<WorkerCommand> as_command(std::string_view text) {
    auto parsed = read(text);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    return WorkerCommand(std::move(*parsed));
}

// Just the discriminator of a command.
json::Parsed<WorkerCommandKind> command_of(std::string_view text) {
    unsigned char buffer[8192];
    boost::json::monotonic_resource memory(buffer, sizeof buffer);
    const auto value = json::detail::parse_text(text, &memory);
    if (!value) return std::unexpected(value.error());
    json::detail::Errors errors;
    const json::detail::Path root;
    const json::detail::Path place{&root, "command"};
    const auto* object = value->if_object();
    const auto* command = object ? object->if_contains("command") : nullptr;
    auto kind = WorkerCommandKind::create;
    if (!object)
        errors.wrong_type(root, "object", *value);
    else if (!command || command->is_null())
        errors.add(place, "required field is missing: expected one of " + json::names_of<WorkerCommandKind>());
    else
        json::detail::decode(*command, kind, errors, place);
    if (!errors.list.empty()) return std::unexpected(std::move(errors.list));
    return kind;
}

json::Parsed<WorkerCommand> read_command(std::string_view text, Reader create, Reader remove, Reader status,
                                         Reader collect) {
    const auto kind = command_of(text);
    if (!kind) return std::unexpected(kind.error());
    switch (*kind) {
        case WorkerCommandKind::create:
            return create(text);
        case WorkerCommandKind::delete_:
            return remove(text);
        case WorkerCommandKind::status:
            return status(text);
        case WorkerCommandKind::collect:
            return collect(text);
    }
    std::unreachable();
}

}  // namespace

json::Parsed<WorkerCommand> parse_worker_command(std::string_view text) {
    return read_command(text, as_command<CreateWorkerCommand, json::parse<CreateWorkerCommand>>,
                        as_command<DeleteWorkerCommand, json::parse<DeleteWorkerCommand>>,
                        as_command<StatusWorkerCommand, json::parse<StatusWorkerCommand>>,
                        as_command<CollectWorkerCommand, json::parse<CollectWorkerCommand>>);
}

std::string write(const WorkerCommand& command) {
    return std::visit([](const auto& c) { return json::write(c); }, command);
}

}  // namespace codegen::contracts

template <>
codegen::json::Parsed<WorkerCommand> codegen::json::parse<WorkerCommand>(std::string_view text) {
    return parse_worker_command(text);
}

template <>
codegen::json::Parsed<WorkerCommand> codegen::json::parse_fields<WorkerCommand>(std::string_view text) {
    return read_command(text, as_command<CreateWorkerCommand, parse_fields<CreateWorkerCommand>>,
                        as_command<DeleteWorkerCommand, parse_fields<DeleteWorkerCommand>>,
                        as_command<StatusWorkerCommand, parse_fields<StatusWorkerCommand>>,
                        as_command<CollectWorkerCommand, parse_fields<CollectWorkerCommand>>);
}
