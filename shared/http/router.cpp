#include "shared/http/router.hpp"

#include <algorithm>
#include <stdexcept>

#include "shared/http/url.hpp"

namespace codegen::http {
namespace {

bool is_rest(std::string_view segment) { return segment.starts_with('{') && segment.ends_with("...}"); }
bool is_parameter(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

std::string_view parameter_name(std::string_view segment) {
    return segment.substr(1, segment.size() - (is_rest(segment) ? 5 : 2));
}

// "/a/b/" -> {"a", "b"}
std::vector<std::string_view> split_path(std::string_view path) {
    std::vector<std::string_view> out;
    if (path.starts_with('/')) path.remove_prefix(1);
    if (path.ends_with('/')) path.remove_suffix(1);
    while (!path.empty()) {
        const auto end = path.find('/');
        out.push_back(path.substr(0, end));
        if (end == std::string_view::npos) break;
        path.remove_prefix(end + 1);
        if (path.empty()) out.emplace_back();
    }
    return out;
}

// How literal a pattern is, segment by segment: compares greater when it is to be preferred.
int rank(std::string_view segment) { return is_rest(segment) ? 0 : is_parameter(segment) ? 1 : 2; }

bool preferred(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return std::ranges::lexicographical_compare(b, a, {}, rank, rank);
}

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (is_rest(pattern[i])) return i < path.size();
        if (i >= path.size()) return false;
        if (is_parameter(pattern[i]) ? path[i].empty() : pattern[i] != path[i]) return false;
    }
    return pattern.size() == path.size();
}

bool parse_query(std::string_view text, std::map<std::string, std::string, std::less<>>& out) {
    while (!text.empty()) {
        const auto end = text.find('&');
        std::string pair(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (pair.empty()) continue;
        std::ranges::replace(pair, '+', ' ');
        const auto equals = pair.find('=');
        auto name = percent_decode(std::string_view(pair).substr(0, equals));
        auto value = percent_decode(equals == std::string::npos ? std::string_view{}
                                                                : std::string_view(pair).substr(equals + 1));
        if (!name || !value) return false;
        out.insert_or_assign(std::move(*name), std::move(*value));
    }
    return true;
}

Reply plain(Response response) { return Reply{std::move(response), {}, {}}; }

}  // namespace

void Router::add(std::string_view method, std::string_view pattern, RouteHandler handler) {
    if (!pattern.starts_with('/'))
        throw std::logic_error("route pattern without leading slash: " + std::string(pattern));
    Entry entry{{std::string(method), std::string(pattern)}, {}, std::move(handler)};
    for (const auto segment : split_path(pattern)) {
        if (!entry.segments.empty() && is_rest(entry.segments.back()))
            throw std::logic_error("{rest...} is not the last segment: " + std::string(pattern));
        if (is_parameter(segment) && parameter_name(segment).empty())
            throw std::logic_error("parameter without a name: " + std::string(pattern));
        entry.segments.emplace_back(segment);
    }
    for (const auto& other : entries_)
        if (other.route.method == method && !preferred(entry.segments, other.segments) &&
            !preferred(other.segments, entry.segments) &&
            std::ranges::equal(entry.segments, other.segments,
                               [](const auto& a, const auto& b) { return rank(a) < 2 ? rank(b) < 2 : a == b; }))
            throw std::logic_error("two handlers for " + std::string(method) + " " + std::string(pattern));
    entries_.push_back(std::move(entry));
}

Task<Reply> Router::dispatch(Request request, Peer peer) const {
    const std::string_view target = request.target;
    const auto question = target.find('?');
    const auto path = target.substr(0, question);
    if (!path.starts_with('/')) co_return plain(problem(404, "no such path: the request target is not a path"));

    Match match;
    std::vector<std::string> segments;
    for (const auto encoded : split_path(path)) {
        auto decoded = percent_decode(encoded);
        if (!decoded) co_return plain(problem(400, "bad percent-encoding in the path"));
        segments.push_back(std::move(*decoded));
    }
    if (question != std::string_view::npos && !parse_query(target.substr(question + 1), match.query))
        co_return plain(problem(400, "bad percent-encoding in the query"));

    // The most literal pattern decides, whatever its methods: "/tasks/{id}" does not answer for "/tasks/self".
    const Entry* closest = nullptr;
    for (const auto& entry : entries_)
        if (matches(entry.segments, segments) && (!closest || preferred(entry.segments, closest->segments)))
            closest = &entry;
    const Entry* best = nullptr;
    std::vector<std::string> allowed;
    for (const auto& entry : entries_) {
        if (!closest || !matches(entry.segments, segments) || preferred(closest->segments, entry.segments)) continue;
        const auto& method = entry.route.method;
        if (std::ranges::find(allowed, method) == allowed.end()) allowed.push_back(method);
        const bool exact = method == request.method;
        if (exact || (!best && request.method == "HEAD" && method == "GET")) best = &entry;  // HEAD of its own wins
    }
    if (!best && allowed.empty()) co_return plain(problem(404, "no such path: " + std::string(path)));
    if (!best) {
        if (std::ranges::find(allowed, "GET") != allowed.end() && std::ranges::find(allowed, "HEAD") == allowed.end())
            allowed.emplace_back("HEAD");
        std::string list;
        for (const auto& method : allowed) list += (list.empty() ? "" : ", ") + method;
        auto response = problem(405, request.method + " is not allowed here; allowed: " + list);
        response.headers.set("Allow", list);
        co_return plain(std::move(response));
    }

    match.route = best->route.pattern;
    for (std::size_t i = 0; i < best->segments.size(); ++i) {
        const auto& segment = best->segments[i];
        if (!is_parameter(segment)) continue;
        std::string value = segments[i];
        if (is_rest(segment))
            for (auto k = i + 1; k < segments.size(); ++k) value += "/" + segments[k];
        match.params.insert_or_assign(std::string(parameter_name(segment)), std::move(value));
    }
    co_return co_await best->handler(std::move(request), std::move(match), peer);
}

std::vector<Router::Route> Router::routes() const {
    std::vector<Route> out;
    for (const auto& entry : entries_) out.push_back(entry.route);
    return out;
}

}  // namespace codegen::http
