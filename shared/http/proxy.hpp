// Which proxy a request takes, as the environment says it to curl, git and others. No I/O.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "shared/http/url.hpp"

namespace codegen::http {

// Spoken to in plain HTTP: https requests go through a CONNECT tunnel, so it sees no more than host and port of them.
struct Proxy {
    std::string host;
    std::uint16_t port = 0;
    std::string authorization;  // value of Proxy-Authorization; a secret; empty: none
    std::string place() const;  // "proxy.example:3128", for messages
};

using Environment = std::function<std::optional<std::string>(std::string_view name)>;

// For https: https_proxy or HTTPS_PROXY; for http: http_proxy; either unless no_proxy or NO_PROXY names the host: names
// with all below them, addresses, networks (10.0.0.0/8), each perhaps with :port; * for all. A proxy is
// [http://][user:password@]host[:port], port 1080 as curl has it. Errors (fatal "configuration")
// name the variable, never its value.
Result<std::optional<Proxy>> proxy_for(const Url& url, const Environment& environment);

}  // namespace codegen::http
