#include "shared/storage/named_parameters.hpp"

#include <algorithm>

namespace codegen::storage {
namespace {

bool starts_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool continues_name(char c) { return starts_name(c) || (c >= '0' && c <= '9'); }

// The end of what begins at `at` and is no place for a parameter: a text, an identifier, a comment, a cast; or `at`.
std::size_t end_of_opaque(std::string_view sql, std::size_t at) {
    const auto after = [&](std::string_view end, std::size_t from) {
        const auto found = sql.find(end, from);
        return found == sql.npos ? sql.size() : found + end.size();
    };
    const auto rest = sql.substr(at);
    if (rest.starts_with('\'')) return after("'", at + 1);  // a doubled quote begins the next text
    if (rest.starts_with('"')) return after("\"", at + 1);
    if (rest.starts_with("--")) return after("\n", at);
    if (rest.starts_with("/*")) return after("*/", at + 2);
    if (rest.starts_with("::")) return at + 2;
    return at;
}

}  // namespace

PositionalSql positional(std::string_view sql) {
    PositionalSql out;
    out.text.reserve(sql.size());
    std::size_t at = 0;
    while (at < sql.size()) {
        if (const auto end = end_of_opaque(sql, at); end != at) {
            out.text += sql.substr(at, end - at);
            at = end;
            continue;
        }
        if (sql[at] != ':' || at + 1 == sql.size() || !starts_name(sql[at + 1])) {
            out.text += sql[at++];
            continue;
        }
        std::size_t end = at + 1;
        while (end < sql.size() && continues_name(sql[end])) ++end;
        const std::string name(sql.substr(at + 1, end - at - 1));
        auto known = std::ranges::find(out.names, name);
        if (known == out.names.end()) known = out.names.insert(out.names.end(), name);
        out.text += '$';
        out.text += std::to_string(known - out.names.begin() + 1);
        at = end;
    }
    return out;
}

}  // namespace codegen::storage
