// Pages of other origins that may use the API from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol): none,
// unless the operator names them. No cookies are involved, so credentials are never allowed. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/http/message.hpp"

namespace codegen::api {

class CrossOrigin {
  public:
    // "https://panel.example", "http://localhost:5173", or "*" for everybody. Errors (fatal) name the one that is none.
    static Result<CrossOrigin> parse(const std::vector<std::string>& origins);

    // The answer to a preflight of an allowed origin; nothing: not one, the request goes its way.
    std::optional<http::Response> preflight(const http::Request& request) const;
    // Adds what lets a page of `origin` read the answer; nothing for others.
    void admit(std::optional<std::string_view> origin, http::Response& response) const;

  private:
    bool allows(std::string_view origin) const;
    std::vector<std::string> origins_;
};

}  // namespace codegen::api
