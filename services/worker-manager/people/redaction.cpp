#include "services/worker-manager/people/redaction.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace codegen::worker_manager {
namespace {

constexpr std::size_t kShortestKnown = 8;
constexpr std::size_t kLongestPem = 64u << 10;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_token_char(char c) { return is_alnum(c) || c == '_' || c == '-'; }
bool is_bearer_char(char c) { return is_token_char(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '='; }

template <class Predicate>
std::size_t run_of(std::string_view text, Predicate predicate) {
    const auto end = std::ranges::find_if_not(text, predicate);
    return static_cast<std::size_t>(end - text.begin());
}

// Issuers that mark their keys. `shortest`: characters behind the prefix.
struct Marked {
    std::string_view prefix;
    std::size_t shortest;
};
constexpr std::array kMarked{Marked{"sk-", 20},   Marked{"fk-", 20},        Marked{"ghp_", 20},   Marked{"gho_", 20},
                             Marked{"ghu_", 20},  Marked{"ghs_", 20},       Marked{"ghr_", 20},   Marked{"AKIA", 16},
                             Marked{"ASIA", 16},  Marked{"AIza", 30},       Marked{"xoxb-", 20},  Marked{"xoxp-", 20},
                             Marked{"xoxa-", 20}, Marked{"xapp-", 20},      Marked{"glpat-", 16}, Marked{"npm_", 30},
                             Marked{"pypi-", 40}, Marked{"github_pat_", 20}};

// A key begins where a word begins; behind an escape of JSON text ("\nsk-...") too.
bool at_word_start(std::string_view text, std::size_t at) {
    if (at == 0 || !is_token_char(text[at - 1])) return true;
    return at >= 2 && text[at - 2] == '\\' && std::string_view("nrtbf").contains(text[at - 1]);
}

std::size_t marked_length(std::string_view rest) {
    for (const auto& [prefix, shortest] : kMarked) {
        if (!rest.starts_with(prefix)) continue;
        const auto behind = run_of(rest.substr(prefix.size()), is_token_char);
        if (behind < shortest) continue;
        auto end = prefix.size() + behind;
        // GitHub's newer tokens are ghs_APP_header.payload.signature, of which the last two are the secret.
        while (prefix == "ghs_" && end < rest.size() && rest[end] == '.') {
            const auto part = run_of(rest.substr(end + 1), is_token_char);
            if (part < shortest) break;
            end += 1 + part;
        }
        return end;
    }
    return 0;
}

// header.payload.signature, the first two JSON objects in base64url.
std::size_t jwt_length(std::string_view rest) {
    if (!rest.starts_with("eyJ")) return 0;
    std::size_t end = run_of(rest, is_token_char);
    if (end >= rest.size() || rest[end] != '.' || !rest.substr(end + 1).starts_with("eyJ")) return 0;
    end += 1 + run_of(rest.substr(end + 1), is_token_char);
    if (end >= rest.size() || rest[end] != '.') return 0;
    return end + 1 + run_of(rest.substr(end + 1), is_token_char);
}

// 123456789:35 characters
std::size_t telegram_length(std::string_view rest) {
    const auto digits = run_of(rest, is_digit);
    if (digits < 8 || digits > 12 || digits >= rest.size() || rest[digits] != ':') return 0;
    const auto behind = run_of(rest.substr(digits + 1), is_token_char);
    return behind >= 34 && behind <= 36 ? digits + 1 + behind : 0;
}

struct Span {
    std::size_t begin;
    std::size_t length;
};

// "Bearer TOKEN": the token alone.
std::optional<Span> bearer(std::string_view rest) {
    constexpr std::string_view kScheme = "earer ";
    if ((rest.front() != 'B' && rest.front() != 'b') || !rest.substr(1).starts_with(kScheme)) return {};
    const auto length = run_of(rest.substr(1 + kScheme.size()), is_bearer_char);
    if (length < 16) return {};
    return Span{1 + kScheme.size(), length};
}

// "://user:password@": the password alone.
std::optional<Span> url_password(std::string_view rest) {
    if (!rest.starts_with("://")) return {};
    constexpr std::string_view kEnds = "/?# \t\r\n\"'\\<>";
    const auto authority = rest.substr(3, std::min(rest.find_first_of(kEnds, 3), std::size_t{3 + 512}) - 3);
    const auto at = authority.rfind('@');
    const auto colon = authority.find(':');
    if (at == std::string_view::npos || colon == std::string_view::npos || colon >= at || at - colon < 2) return {};
    return Span{3 + colon + 1, at - colon - 1};
}

// To the end of the block, of the JSON string it stands in, or of the text.
std::size_t pem_length(std::string_view rest) {
    constexpr std::string_view kBegin = "-----BEGIN ";
    if (!rest.starts_with(kBegin)) return 0;
    const auto label = rest.substr(kBegin.size(), 40);
    const auto key = label.find("PRIVATE KEY-----");
    if (key == std::string_view::npos || label.substr(0, key).find_first_of("\n\"") != std::string_view::npos) return 0;
    const auto block = rest.substr(0, std::min(rest.find('"'), kLongestPem));
    const auto end = block.find("-----END ");
    if (end == std::string_view::npos) return block.size();
    const auto close = block.find("-----", end + 9);
    return close == std::string_view::npos ? block.size() : close + 5;
}

std::optional<Span> secret_at(std::string_view text, std::size_t at) {
    const auto rest = text.substr(at);
    const char c = rest.front();
    if (c == ':') return url_password(rest);
    if (c == '-') {
        const auto length = pem_length(rest);
        return length > 0 ? std::optional(Span{0, length}) : std::nullopt;
    }
    if (!at_word_start(text, at)) return {};
    if (c == 'B' || c == 'b') return bearer(rest);
    const auto length = is_digit(c) ? telegram_length(rest) : c == 'e' ? jwt_length(rest) : marked_length(rest);
    return length > 0 ? std::optional(Span{0, length}) : std::nullopt;
}

// What can begin a secret; everything else is passed over quickly.
constexpr std::string_view kFirst = ":-Bbe0123456789sfgAxnp";
constexpr auto kMayBegin = [] {
    std::array<bool, 256> table{};
    for (const char c : kFirst) table[static_cast<unsigned char>(c)] = true;
    return table;
}();

std::string without_shapes(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    std::size_t copied = 0;
    for (std::size_t at = 0; at < text.size();) {
        const auto found =
            kMayBegin[static_cast<unsigned char>(text[at])] ? secret_at(text, at) : std::optional<Span>{};
        if (!found) {
            ++at;
            continue;
        }
        out.append(text, copied, at + found->begin - copied);
        out += kRedacted;
        at += found->begin + found->length;
        copied = at;
    }
    out.append(text, copied);
    return out;
}

void replace_all(std::string& text, const std::string& value) {
    auto at = text.find(value);
    if (at == std::string::npos) return;
    std::string out;
    std::size_t copied = 0;
    for (; at != std::string::npos; at = text.find(value, copied)) {
        out.append(text, copied, at - copied);
        out += kRedacted;
        copied = at + value.size();
    }
    out.append(text, copied);
    text = std::move(out);
}

// As a JSON writer writes it, with and without "\/".
std::vector<std::string> spellings(const std::string& value) {
    std::vector<std::string> out{value};
    std::string plain;
    std::string slashed;
    for (const char c : value) {
        const bool escaped = c == '"' || c == '\\';
        if (escaped) plain += '\\';
        if (escaped || c == '/') slashed += '\\';
        plain += c;
        slashed += c;
    }
    if (plain != value) out.push_back(plain);
    if (slashed != plain) out.push_back(slashed);
    return out;
}

}  // namespace

Redactor::Redactor(std::vector<std::string> known) {
    for (const auto& value : known) {
        if (value.size() < kShortestKnown) continue;
        for (auto& spelling : spellings(value)) known_.push_back(std::move(spelling));
    }
    // A value that holds another one goes as a whole.
    std::ranges::sort(known_,
                      [](const auto& a, const auto& b) { return a.size() != b.size() ? a.size() > b.size() : a < b; });
    const auto repeated = std::ranges::unique(known_);
    known_.erase(repeated.begin(), repeated.end());
}

std::string Redactor::operator()(std::string_view text) const {
    std::string out(text);
    for (const auto& value : known_) replace_all(out, value);
    return without_shapes(out);
}

}  // namespace codegen::worker_manager
