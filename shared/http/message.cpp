#include "shared/http/message.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cstdio>

namespace codegen::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::optional<std::chrono::seconds> retry_after(const Headers& headers, Timestamp now) {
    constexpr std::chrono::seconds kMost = std::chrono::hours(24);
    const auto value = headers.get("Retry-After");
    if (!value || value->empty()) return {};
    std::int64_t seconds = 0;
    const auto [end, bad] = std::from_chars(value->data(), value->data() + value->size(), seconds);
    if (bad == std::errc::result_out_of_range) return kMost;
    if (bad == std::errc() && end == value->data() + value->size()) {
        if (seconds < 0) return {};
        return std::min(kMost, std::chrono::seconds(seconds));
    }
    // IMF-fixdate (RFC 9110): Sun, 06 Nov 1994 08:49:37 GMT. Month and day names are English whatever the locale.
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4] = {};
    int day = 0;
    int year = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    const std::string text(*value);
    if (std::sscanf(text.c_str(), "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", &day, month, &year, &hour, &minute,
                    &second) != 6)
        return {};
    const auto at = kMonths.find(month);
    if (at == kMonths.npos || at % 3 != 0) return {};
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(at / 3 + 1)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok() || hour > 23 || minute > 59 || second > 60) return {};
    const auto when = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
                      std::chrono::seconds(second);
    return std::clamp(std::chrono::ceil<std::chrono::seconds>(when - now), std::chrono::seconds(0), kMost);
}

bool same_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
    for (const auto& field : fields_)
        if (same_name(field.name, name)) return field.value;
    return std::nullopt;
}

void Headers::set(std::string_view name, std::string value) {
    erase(name);
    add(name, std::move(value));
}

void Headers::add(std::string_view name, std::string value) {
    fields_.emplace_back(std::string(name), std::move(value));
}

void Headers::erase(std::string_view name) {
    std::erase_if(fields_, [name](const Field& field) { return same_name(field.name, name); });
}

Response json_response(unsigned status, const boost::json::value& body) {
    Response out;
    out.status = status;
    out.headers.add("Content-Type", "application/json");
    out.body = boost::json::serialize(body);
    return out;
}

Response problem(unsigned status, std::string detail, const FieldErrors& errors) {
    const auto title = reason_phrase(status);
    boost::json::object document{{"type", "about:blank"},
                                 {"title", boost::json::string_view(title.data(), title.size())},
                                 {"status", status},
                                 {"detail", detail}};
    if (!errors.empty()) {
        boost::json::array list;
        for (const auto& e : errors) list.push_back({{"path", e.path}, {"message", e.message}});
        document["errors"] = std::move(list);
    }
    auto out = json_response(status, document);
    out.headers.set("Content-Type", "application/problem+json");
    return out;
}

std::string_view reason_phrase(unsigned status) {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "Switching Protocols";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 206:
            return "Partial Content";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 402:
            return "Payment Required";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 415:
            return "Unsupported Media Type";
        case 416:
            return "Range Not Satisfiable";
        case 422:
            return "Unprocessable Content";
        case 423:
            return "Locked";
        case 425:
            return "Too Early";
        case 428:
            return "Precondition Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 507:
            return "Insufficient Storage";
        case 529:
            return "Overloaded";
        default:
            return "Unknown";
    }
}

}  // namespace codegen::http
