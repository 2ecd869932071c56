// Finds the handler of a request by method and path. No I/O.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shared/http/message.hpp"
#include "shared/http/server.hpp"

namespace codegen::http {

// Path parameters and query, percent-decoded.
struct Match {
    std::map<std::string, std::string, std::less<>> params;
    std::map<std::string, std::string, std::less<>> query;  // of a repeated name the last
    std::string route;                                      // the pattern, e.g. "/api/tasks/{id}": for metrics and logs
};

using RouteHandler = std::function<Task<Reply>(Request, Match, Peer)>;

// Patterns: "/api/tasks/{id}"; "{rest...}" as the last segment takes the remainder, slashes included. A trailing slash
// on the request is ignored. The pattern with the most literal beginning decides, whatever its methods. Unknown path:
// 404; known path, other method: 405 with Allow; bad percent-encoding: 400. HEAD is served by GET without the body.
class Router {
  public:
    struct Route {
        std::string method;
        std::string pattern;
    };
    void add(std::string_view method, std::string_view pattern, RouteHandler handler);
    Task<Reply> dispatch(Request request, Peer peer) const;
    std::vector<Route> routes() const;  // in the order of add()

  private:
    struct Entry {
        Route route;
        std::vector<std::string> segments;
        RouteHandler handler;
    };
    std::vector<Entry> entries_;
};

}  // namespace codegen::http
