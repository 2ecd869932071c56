#include <boost/json/array.hpp>
#include <set>

#include "shared/contracts/contract_name.hpp"
#include "shared/contracts/schema.hpp"
#include "shared/contracts/stream_table.hpp"

namespace codegen::contracts {
namespace {

namespace bj = boost::json;

bj::string_view text(std::string_view t) { return {t.data(), t.size()}; }
bj::object reference(std::string target) { return {{"$ref", std::move(target)}}; }

// "worker:{worker_id}:input" -> "worker_worker_id_input": what a key of a document may be.
std::string key_of(std::string_view address) {
    std::string key;
    for (const char c : address) {
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
            key += c;
        else if (!key.empty() && key.back() != '_')
            key += '_';
    }
    if (key.ends_with('_')) key.pop_back();
    return key;
}

bj::object parameters_of(std::string_view address) {
    bj::object parameters;
    for (auto open = address.find('{'); open != std::string_view::npos; open = address.find('{')) {
        address.remove_prefix(open + 1);
        const auto name = address.substr(0, address.find('}'));
        parameters[text(name)] = {{"description", name == "worker_id"
                                                      ? "The worker's name: config.name of the command that made it"
                                                  : name == "task_id" ? "tasks.id"
                                                  : name == "host"    ? "The worker host's name"
                                                                      : "The name of any stream that has consumers"}};
    }
    return parameters;
}

bj::object operation(std::string_view role, std::string_view action, const StreamDescription& stream,
                     std::string_view group) {
    const auto channel = "#/channels/" + key_of(stream.address);
    bj::array messages;
    for (const auto message : stream.messages)
        if (!message.empty()) messages.push_back(reference(channel + "/messages/" + std::string(message)));
    bj::object out{{"action", text(action)},
                   {"channel", reference(channel)},
                   {"messages", std::move(messages)},
                   {"tags", {{{"name", text(role)}}}}};
    if (!group.empty()) out["x-consumer-group"] = text(group);
    return out;
}

void add_operations(bj::object& operations, const StreamDescription& stream) {
    const auto name = [&](std::string_view role, std::string_view verb) {
        std::string whole = key_of(role);
        return whole.append(".").append(verb).append(".").append(key_of(stream.address));
    };
    for (const auto writer : stream.writers)
        if (!writer.empty()) operations[name(writer, "send")] = operation(writer, "send", stream, {});
    for (const auto& reader : stream.readers)
        if (!reader.role.empty())
            operations[name(reader.role, "receive")] = operation(reader.role, "receive", stream, reader.group);
    for (const auto observer : stream.observers)
        if (!observer.empty()) operations[name(observer, "observe")] = operation(observer, "receive", stream, {});
}

// Only what the streams carry, and the records inside it.
void add_used(const bj::value& schema, const bj::object& all, bj::object& used) {
    constexpr std::string_view kPrefix = "#/components/schemas/";
    if (const auto* array = schema.if_array())
        for (const auto& element : *array) add_used(element, all, used);
    const auto* object = schema.if_object();
    if (!object) return;
    for (const auto& [key, value] : *object) {
        add_used(value, all, used);
        if (key != "$ref") continue;
        const auto name = value.as_string().subview(kPrefix.size());
        if (used.contains(name)) continue;
        used[name] = all.at(name);
        add_used(all.at(name), all, used);
    }
}

}  // namespace

bj::object asyncapi() {
    bj::object channels;
    bj::object operations;
    bj::object messages;
    for (const auto& stream : stream_table()) {
        bj::object carried;
        for (const auto name : stream.messages) {
            if (name.empty()) continue;
            carried[text(name)] = reference("#/components/messages/" + std::string(name));
            messages[text(name)] = {{"name", text(name)},
                                    {"contentType", "application/json"},
                                    {"payload", reference("#/components/schemas/" + std::string(name))}};
        }
        bj::object channel{
            {"address", text(stream.address)}, {"summary", text(stream.summary)}, {"messages", std::move(carried)}};
        if (auto parameters = parameters_of(stream.address); !parameters.empty())
            channel["parameters"] = std::move(parameters);
        channels[key_of(stream.address)] = std::move(channel);
        add_operations(operations, stream);
    }
    const auto all = schemas("#/components/schemas/");
    bj::object used;
    add_used(messages, all, used);
    return {{"asyncapi", "3.0.0"},
            {"info",
             {{"title", "Codegen Orchestrator: streams"},
              {"version", CODEGEN_VERSION},
              {"description",
               "Redis Streams. One entry is one message: its field `data` holds one JSON object. Every consumer group "
               "(x-consumer-group) gets each entry once; who receives without a group observes. Unknown fields are "
               "ignored, null is as good as absent, extension is by optional fields."},
              {"license", {{"name", "Apache-2.0"}}}}},
            {"defaultContentType", "application/json"},
            {"servers",
             {{"redis",
               {{"host", "{host}:6379"},
                {"protocol", "redis"},
                {"description", "REDIS_URL of the installation"},
                {"variables", {{"host", {{"default", "localhost"}}}}}}}}},
            {"channels", std::move(channels)},
            {"operations", std::move(operations)},
            {"components", {{"messages", std::move(messages)}, {"schemas", std::move(used)}}}};
}

}  // namespace codegen::contracts
