// /openapi.json and /docs: what the tables of routes and the contracts say, for other programs and for people.
#pragma once
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "services/api/route.hpp"

namespace codegen::api {

std::vector<const RouteSpec*> all_routes();
// OpenAPI 3.1 of these routes, with the schema of every contract.
boost::json::object openapi(const std::vector<const RouteSpec*>& routes);
// "GET /api/tasks/{id}" for every route that is in one of the two and not in the other.
std::vector<std::string> undocumented(const std::vector<const RouteSpec*>& routes, const boost::json::object& document);
// A page of its own: no script, nothing from elsewhere.
std::string docs_page(const boost::json::object& openapi);

}  // namespace codegen::api
