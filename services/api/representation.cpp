#include "services/api/representation.hpp"

#include <zlib.h>

#include <charconv>
#include <stdexcept>

#include "services/api/caller.hpp"

namespace codegen::api {
namespace {

constexpr std::size_t kWorthIt = 1024;  // below it a packet is not saved
constexpr int kLevel = 4;               // most of the gain at a third of the time of 9
constexpr std::string_view kSuffix = "-gzip";

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    return text;
}

// Calls `visit` with every element of a comma-separated list until it returns true.
template <class Visit>
bool any_element(std::string_view list, Visit visit) {
    while (!list.empty()) {
        const auto end = list.find(',');
        if (visit(trimmed(list.substr(0, end)))) return true;
        list = end == list.npos ? std::string_view() : list.substr(end + 1);
    }
    return false;
}

double quality(std::string_view parameters) {
    double q = 1;
    const auto at = parameters.find("q=");
    if (at == parameters.npos) return q;
    const auto text = trimmed(parameters.substr(at + 2));
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), q);
    return parsed.ec == std::errc() ? q : 0;
}

// Weak comparison, and the compressed form is the same thing.
bool same_tag(std::string_view a, std::string_view b) {
    const auto bare = [](std::string_view tag) {
        if (tag.starts_with("W/")) tag.remove_prefix(2);
        if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
        if (tag.ends_with(kSuffix)) tag.remove_suffix(kSuffix.size());
        return tag;
    };
    return bare(a) == bare(b);
}

bool is_text(std::string_view type) {
    return type.starts_with("application/json") || type.starts_with("application/problem+json") ||
           type.starts_with("text/");
}

void compress(http::Response& response) {
    auto packed = gzip(response.body);
    if (packed.size() >= response.body.size()) return;
    response.body = std::move(packed);
    response.headers.set("Content-Encoding", "gzip");
    const auto tag = response.headers.get("ETag");
    if (!tag || !tag->ends_with('"')) return;
    std::string other(tag->substr(0, tag->size() - 1));
    response.headers.set("ETag", other + std::string(kSuffix) + "\"");
}

}  // namespace

Wanted::Wanted(const http::Request& request) : reads(request.method == "GET" || request.method == "HEAD") {
    if (const auto tags = request.headers.get("If-None-Match")) if_none_match = std::string(*tags);
    if (const auto encodings = request.headers.get("Accept-Encoding")) gzip = accepts_gzip(*encodings);
}

bool accepts_gzip(std::string_view accept_encoding) {
    std::optional<double> named;
    std::optional<double> any;
    any_element(accept_encoding, [&](std::string_view element) {
        const auto end = element.find(';');
        const auto name = trimmed(element.substr(0, end));
        const auto q = quality(end == element.npos ? std::string_view() : element.substr(end));
        if (http::same_name(name, "gzip")) named = q;
        if (name == "*") any = q;
        return false;
    });
    return named.value_or(any.value_or(0)) > 0;
}

std::string gzip(std::string_view text) {
    z_stream stream{};
    constexpr int kGzip = 15 + 16;  // the largest window, with gzip's header
    if (::deflateInit2(&stream, kLevel, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::runtime_error("zlib cannot start");
    std::string packed(::deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // it only reads
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    const int done = ::deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    ::deflateEnd(&stream);
    if (done != Z_STREAM_END) throw std::runtime_error("zlib did not end");
    return packed;
}

void represent(const Wanted& wanted, http::Response& response) {
    const auto type = response.headers.get("Content-Type").value_or("");
    if (response.headers.get("Cache-Control") == "no-store" || !is_text(type)) return;
    if (wanted.reads && response.status == 200 && type.starts_with("application/json")) {
        if (!response.headers.get("ETag"))
            response.headers.set("ETag", "\"" + sha256_hex(response.body).substr(0, 32) + "\"");
        const std::string tag(*response.headers.get("ETag"));
        if (wanted.if_none_match && any_element(*wanted.if_none_match, [&](std::string_view element) {
                return element == "*" || same_tag(element, tag);
            })) {
            response.status = 304;
            response.body.clear();
            response.headers.erase("Content-Type");
            return;
        }
    }
    if (response.body.size() < kWorthIt) return;
    response.headers.add("Vary", "Accept-Encoding");
    if (wanted.gzip) compress(response);
}

}  // namespace codegen::api
