// /api/available-models: which models there are, and what they cost. Budgets in USD are kept by these prices.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/settings.hpp"

namespace codegen::api {
namespace {

using contracts::AvailableModel;

constexpr std::size_t kLongestName = 200;
constexpr double kHighestPrice = 1e6;  // USD per million tokens: more is a mistake of unit

constexpr Table kTable{
    .name = "available_models", .what = "available-model", .id = Page::Id::text, .write = write_record<AvailableModel>};

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= kLongestName &&
           std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c != 0x7f; });
}

FieldErrors check(const AvailableModel& model, const std::string& id) {
    FieldErrors errors;
    const auto name = [&](std::string path, std::string_view text) {
        if (!is_name(text))
            errors.push_back({std::move(path), fmt::format("is \"{}\": expected 1 to {} bytes without blanks",
                                                           text.substr(0, 80), kLongestName)});
    };
    name("id", model.id);
    name("provider", model.provider);
    if (model.id != id)
        errors.push_back(
            {"id", fmt::format("is \"{}\", but the address names \"{}\"", model.id.substr(0, 80), id.substr(0, 80))});
    if (model.context_window && *model.context_window <= 0)
        errors.push_back({"context_window", fmt::format("is {}: expected tokens, at least 1", *model.context_window)});
    const std::array<std::pair<std::string_view, std::optional<double>>, 4> prices{
        {{"input_price", model.input_price},
         {"output_price", model.output_price},
         {"cache_read_price", model.cache_read_price},
         {"cache_write_price", model.cache_write_price}}};
    for (const auto& [path, price] : prices)
        if (price && !(*price >= 0 && *price <= kHighestPrice))
            errors.push_back({std::string(path), fmt::format("is {}: expected USD per million tokens, 0 to {:.0f}",
                                                             *price, kHighestPrice)});
    return errors;
}

// The body may leave the id to the address.
std::expected<AvailableModel, http::Response> model_of(const Context& context, const std::string& id) {
    auto any = json::parse_any(context.request.body);
    if (!any) return std::unexpected(http::problem(400, "the body is not JSON: " + any.error().front().message));
    if (auto* object = any->if_object(); object && !object->contains("id")) (*object)["id"] = id;
    auto model = json::parse<AvailableModel>(boost::json::serialize(*any));
    if (!model) return std::unexpected(http::problem(422, "the body is not valid", model.error()));
    if (const auto errors = check(*model, id); !errors.empty())
        return std::unexpected(http::problem(422, "the body is not valid", errors));
    return std::move(*model);
}

// Another body replaces the whole entry.
Task<http::Response> put(const Context* context) {
    const auto id = context->param("model_id");
    auto model = model_of(*context, id);
    if (!model) co_return model.error();
    if (demands_match(context->request)) {
        auto changes = assignments_of(*model);
        auto answer = co_await answer_changed(context, &kTable, Where(), id, std::move(changes));
        co_return answer;
    }
    auto known = co_await context->database.query("SELECT id FROM available_models WHERE id = :id", {{"id", id}});
    if (!known) co_return problem_of(known.error());
    auto values = assignments_of(*model);
    values.set("created_at", to_micros(context->now));
    auto stored = co_await context->database.query(
        values.insert_into(kTable.name) +
            " ON CONFLICT (id) DO UPDATE SET provider = excluded.provider, "
            "context_window = excluded.context_window, input_price = excluded.input_price, "
            "output_price = excluded.output_price, cache_read_price = excluded.cache_read_price, "
            "cache_write_price = excluded.cache_write_price, revision = available_models.revision + 1 RETURNING *",
        std::move(values.parameters));
    if (!stored) co_return problem_of(stored.error());
    co_return object_answer(known->rows.empty() ? 201 : 200, kTable, stored->rows.at(0));
}

Task<http::Response> list(const Context* context) {
    Filters filters(*context);
    filters.text("provider");
    return answer_list(context, &kTable, std::move(filters));
}

Task<http::Response> get(const Context* context) {
    return answer_object(context, &kTable, Where(), context->param("model_id"));
}

constexpr RouteSpec kRoutes[] = {
    {"GET",
     "/api/available-models",
     Access::member,
     "",
     list,
     {.summary = "Models and what they cost",
      .response = list_of("AvailableModel"),
      .query = {text("provider")},
      .paged = true}},
    {"GET",
     "/api/available-models/{model_id...}",
     Access::member,
     "",
     get,
     {.summary = "One model", .response = contract("AvailableModel"), .answers = {200, 404}}},
    {"PUT",
     "/api/available-models/{model_id...}",
     Access::control,
     "",
     put,
     {.summary = "Add or replace a model; the body may leave the id to the address",
      .request = contract("AvailableModel"),
      .response = contract("AvailableModel"),
      .answers = {200, 201}}},
};

}  // namespace

std::span<const RouteSpec> available_model_routes() { return kRoutes; }

}  // namespace codegen::api
