// A person's own worker (a product owner), made and talked to through the streams.
#pragma once
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "tests/harness/control_plane.hpp"

namespace codegen::testing {

// The parsed `data` of all entries.
std::vector<boost::json::object> messages(ControlPlane& plane, const std::string& stream);
// Asks for the worker `name`, whose agent is `script` under bash; returns the response. `context` says more than
// user 1.
boost::json::object create_product_owner(ControlPlane& plane, const std::string& name, const std::string& script,
                                         boost::json::object context = {});
// Says `prompt`, `directed` to worker:{name}:input; returns the request's id.
std::string say(ControlPlane& plane, const std::string& name, const std::string& prompt, bool directed = false);
std::vector<boost::json::object> outputs(ControlPlane& plane, const std::string& name, const std::string& request,
                                         bool final);
// Waits for the one final output; fails the test when there are more.
boost::json::object answer(ControlPlane& plane, const std::string& name, const std::string& request);

}  // namespace codegen::testing
