#include "shared/clients/github/places.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace codegen::clients::github {
namespace {

constexpr std::string_view kEnterpriseBase = "/api/v3";
constexpr std::string_view kPublicApi = "api.github.com";
constexpr std::string_view kPublicWeb = "https://github.com";

bool is_alphanumeric(unsigned char c) { return c < 0x80 && std::isalnum(c) != 0; }

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

}  // namespace

std::string origin_of(const http::Url& url) {
    const bool tls = url.scheme == http::Url::Scheme::https;
    const auto host = url.host.contains(':') ? "[" + url.host + "]" : url.host;
    const auto origin = fmt::format("{}://{}", tls ? "https" : "http", host);
    return url.port == (tls ? 443 : 80) ? origin : fmt::format("{}:{}", origin, url.port);
}

std::string web_url(const http::Url& api) {
    if (http::same_name(api.host, kPublicApi)) return std::string(kPublicWeb);
    auto base = api.path;
    if (base.ends_with(kEnterpriseBase)) base.resize(base.size() - kEnterpriseBase.size());
    return origin_of(api) + base;
}

bool is_plain_segment(std::string_view name) {
    return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
           std::ranges::all_of(name,
                               [](unsigned char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_repository_name(std::string_view name) {
    return is_plain_segment(name) && name.size() <= 100 && !lower(name).ends_with(".git");
}

bool is_account_name(std::string_view name) {
    return !name.empty() && name.size() <= 60 && name.front() != '-' && name.back() != '-' && !name.contains("--") &&
           std::ranges::all_of(name, [](unsigned char c) { return is_alphanumeric(c) || c == '-' || c == '_'; });
}

std::optional<std::string> repository_at(std::string_view url, std::string_view web, std::string_view organization) {
    const auto prefix = fmt::format("{}/{}/", web, organization);
    if (url.size() <= prefix.size() || lower(url.substr(0, prefix.size())) != lower(prefix)) return std::nullopt;
    auto name = url.substr(prefix.size());
    while (name.ends_with('/')) name.remove_suffix(1);
    if (name.ends_with(".git")) name.remove_suffix(4);
    if (!is_repository_name(name)) return std::nullopt;
    return std::string(name);
}

std::optional<std::string> target_within(std::string_view location, const http::Url& api) {
    const auto origin = origin_of(api);
    if (!location.starts_with('/')) {
        if (location.size() < origin.size() || lower(location.substr(0, origin.size())) != lower(origin))
            return std::nullopt;
        location.remove_prefix(origin.size());
    }
    if (!location.starts_with(api.path) || location.starts_with("//")) return std::nullopt;
    location.remove_prefix(api.path.size());
    if (!location.starts_with('/')) return std::nullopt;
    return std::string(location);
}

Result<std::optional<std::string>> next_page(const http::Headers& headers, const http::Url& api) {
    const auto link = headers.get("Link");
    if (!link) return std::nullopt;
    // <https://...>; rel="next", <https://...>; rel="last"
    std::string_view rest = *link;
    while (!rest.empty()) {
        const auto open = rest.find('<');
        const auto close = rest.find('>', open == rest.npos ? rest.size() : open);
        if (open == rest.npos || close == rest.npos) break;
        const auto place = rest.substr(open + 1, close - open - 1);
        rest.remove_prefix(close + 1);
        const auto parameters = rest.substr(0, std::min(rest.find('<'), rest.size()));
        if (!parameters.contains(R"(rel="next")")) continue;
        auto target = target_within(place, api);
        if (!target)
            return fail(ErrorCategory::permanent, "protocol",
                        fmt::format("GitHub names a next page that is not below {}{}", origin_of(api), api.path));
        return target;
    }
    return std::nullopt;
}

}  // namespace codegen::clients::github
