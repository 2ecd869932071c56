// /api/available-models: which models there are, and what they cost. Budgets in USD are kept by these prices.
#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "shared/contracts/dto/settings.hpp"

namespace codegen::api {
namespace {

using contracts::AvailableModel;

constexpr Table kTable{
    .name = "available_models", .what = "available-model", .id = Page::Id::text, .write = write_record<AvailableModel>};

// Another body replaces the whole entry.
Task<http::Response> put(const Context* context) {
    const auto id = context->param("model_id");
    auto model = body_of<contracts::AvailableModelPut>(*context);
    if (!model) co_return model.error();
    if (model->id && *model->id != id)
        co_return invalid_field("id", fmt::format("is \"{}\", but the address names \"{}\"", *model->id, id)).error();
    model->id = id;
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
      .request = contract("AvailableModelPut"),
      .response = contract("AvailableModel"),
      .path = {contracts::word("model_id")},
      .answers = {200, 201}}},
};

}  // namespace

std::span<const RouteSpec> available_model_routes() { return kRoutes; }

}  // namespace codegen::api
