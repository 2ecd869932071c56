// What the handlers of most resources do alike with their table: list, get, make, change, remove.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "services/api/resource.hpp"

namespace codegen::api {

// A table with the columns `key`, created_at and, unless it is never changed, revision.
struct Table {
    std::string_view name;  // "servers"
    std::string_view what;  // "server", for people
    Page::Id id;
    std::string (*write)(const storage::Row&);  // as JSON
    std::string_view key = "id";
    std::string_view columns = "*";
    std::string_view reference = "";  // the field that a broken reference is in
};

// The filters of a list, from the query; the first one that is not valid is the answer (422).
class Filters {
  public:
    explicit Filters(const Context& context) : context_(context) {}
    Filters& text(std::string_view name);
    Filters& id(std::string_view name);  // a UUID, in either case
    Filters& number(std::string_view name);
    Filters& boolean(std::string_view name);
    template <class E>
    Filters& choice(std::string_view name, std::string_view column) {
        const auto* given = context_.query(name);
        if (!given) return *this;
        if (const auto value = json::enum_from<E>(*given))
            where.equals(column, std::string(json::name_of(*value)));
        else
            refuse(name, *given, "one of " + json::names_of<E>());
        return *this;
    }
    template <class E>
    Filters& choice(std::string_view name) {
        return choice<E>(name, name);
    }
    Where where;
    std::optional<http::Response> refusal;

  private:
    void refuse(std::string_view name, std::string_view value, std::string_view expected);
    const Context& context_;
};

// Tables outlive the calls (they are constants). `where` is what the caller may see.
Task<http::Response> answer_list(const Context* context, const Table* table, Filters filters);
// The object whose key is `id`; 404.
Task<http::Response> answer_object(const Context* context, const Table* table, Where where, std::string id);
// 201. The same key again is answer_repeated(), where `values` have a request_hash, else 409. A reference to nothing:
// 422. `key`: of the new object, where the client chose it.
Task<http::Response> answer_made(const Context* context, const Table* table, Assignments values, std::string key);
// 200; If-Match is part of the same statement: 412 when it names another state. 404.
Task<http::Response> answer_changed(const Context* context, const Table* table, Where where, std::string id,
                                    Assignments changes);
Task<http::Response> answer_removed(const Context* context, const Table* table, Where where, std::string id);

// The key column equals `id`, which is a number or text as the table says; nullopt: no key of that kind.
std::optional<storage::Value> key_of(const Table& table, const std::string& id);

// Whether there is such a row. An error is the answer to give.
Task<std::expected<bool, http::Response>> exists(const Context* context, const Table* table, std::string id);

// `column` holds the project whose objects these are.
void limit_to_own_projects(const Caller& caller, std::string_view column, Where& where);
// Servers that a visible project has a port or a service on. `column` holds the handle.
void limit_to_visible_servers(const Caller& caller, std::string_view column, Where& where);

// ETag of a row with created_at and revision, with its quotes.
std::string etag_of(const storage::Row& row);
// The row's JSON with its ETag.
http::Response object_answer(unsigned status, const Table& table, const storage::Row& row);
// What If-Match demands, as a condition; nothing when it is absent or "*".
void demand_match(const http::Request& request, Where& where);
bool demands_match(const http::Request& request);

extern const Table kServers;
extern const Table kAllocations;
extern const Table kIncidents;
extern const Table kServiceDeployments;

// Where a sealed value stands: bound into it, so that it opens in this row only.
std::string sealed_place(const Table& table, std::string_view id);

}  // namespace codegen::api
