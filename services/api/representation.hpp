// How an answer goes out: not at all when the client has it (If-None-Match: 304), and compressed when that is worth it
// and wanted (Accept-Encoding: gzip). Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "shared/http/message.hpp"

namespace codegen::api {

// Of the request; kept while it is handled.
struct Wanted {
    explicit Wanted(const http::Request& request);
    bool reads = false;  // GET, HEAD
    std::optional<std::string> if_none_match;
    bool gzip = false;
};

// RFC 9110, 12.5.3: "gzip", "gzip;q=0.5", "*"; "gzip;q=0" refuses.
bool accepts_gzip(std::string_view accept_encoding);
std::string gzip(std::string_view text);

// Adds ETags to JSON that was read and has none, answers 304, compresses from 1 KiB on. An answer that must not be
// stored (Cache-Control: no-store) stays as it is.
void represent(const Wanted& wanted, http::Response& response);

}  // namespace codegen::api
