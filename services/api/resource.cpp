#include "services/api/resource.hpp"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

#include "shared/base/ids.hpp"

namespace codegen::api {

std::string Context::param(std::string_view name) const {
    const auto found = match.params.find(name);
    return found == match.params.end() ? std::string() : found->second;
}

std::string Context::id() const { return lower_case(param("id")); }

const std::string* Context::query(std::string_view name) const {
    if (!reads_query(route, name))
        throw std::logic_error(
            fmt::format("{} {} does not declare the query parameter {}", route.method, route.pattern, name));
    const auto found = match.query.find(name);
    return found == match.query.end() ? nullptr : &found->second;
}

std::optional<std::int64_t> Context::number(std::string_view text) {
    std::int64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
    return number;
}

void check_declared_body(const Context& context, std::string_view name) {
    if (context.route.contract.request.name != name)
        throw std::logic_error(fmt::format("{} {} reads {} but declares {}", context.route.method,
                                           context.route.pattern, name, context.route.contract.request.name));
}

namespace {

void find_nul(const boost::json::value& value, const std::string& path, FieldErrors& errors) {
    constexpr const char* kMessage = "holds a NUL character";
    if (const auto* text = value.if_string(); text && text->find('\0') != text->npos)
        errors.push_back({path, kMessage});
    if (const auto* array = value.if_array())
        for (std::size_t i = 0; i < array->size(); ++i) find_nul(array->at(i), fmt::format("{}[{}]", path, i), errors);
    const auto* object = value.if_object();
    if (!object) return;
    for (const auto& member : *object) {
        const std::string_view key = member.key();
        const auto here = path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
        if (key.contains('\0')) errors.push_back({path, "has a field whose name holds a NUL character"});
        find_nul(member.value(), here, errors);
    }
}

}  // namespace

FieldErrors nul_characters(const std::string& body) {
    FieldErrors errors;
    if (!body.contains("\\u0000")) return errors;  // the only way to write it
    if (const auto value = json::parse_any(body)) find_nul(*value, {}, errors);
    return errors;
}

std::unexpected<http::Response> invalid_field(std::string path, std::string message) {
    return std::unexpected(http::problem(422, "the body is not valid", {{std::move(path), std::move(message)}}));
}

void limit_to_visible_projects(const Caller& caller, Where& where) {
    if (caller.sees_all()) return;
    if (caller.is_worker() && caller.task_id) {
        where.add("id = :visible_project");
        where.parameters.set("visible_project", caller.project_id);
        return;
    }
    where.add("owner_id = :visible_user");  // no user: NULL, which equals nothing
    where.parameters.set("visible_user", caller.user_id);
}

void limit_to_visible_tasks(const Caller& caller, Where& where) {
    if (caller.sees_all()) return;
    if (caller.is_worker() && caller.task_id) {
        // Its task, and what else it or its user has started in the same project.
        where.add("(id = :visible_task OR (project_id = :visible_project AND user_id = :visible_user))");
        where.parameters.set("visible_task", caller.task_id);
        where.parameters.set("visible_project", caller.project_id);
    } else {
        where.add(
            "(user_id = :visible_user OR project_id IN (SELECT id FROM projects WHERE owner_id = :visible_user))");
    }
    where.parameters.set("visible_user", caller.user_id);
}

Task<std::expected<bool, http::Response>> sees_project(const Context* context, std::string id) {
    Where where;
    where.equals("id", std::move(id));
    limit_to_visible_projects(context->caller, where);
    auto found = co_await context->database.query("SELECT id FROM projects" + where.sql(), where.parameters);
    if (!found) co_return std::unexpected(problem_of(found.error()));
    co_return !found->rows.empty();
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

std::string id_or_new(const std::optional<std::string>& id) { return id ? lower_case(*id) : new_uuid(); }

}  // namespace codegen::api
