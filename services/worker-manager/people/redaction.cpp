#include "services/worker-manager/people/redaction.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace codegen::worker_manager {
namespace {

constexpr std::size_t kShortestKnown = 8;
constexpr std::size_t kLongestPem = 64u << 10;
constexpr std::size_t kLongestSpread = 256u << 10;  // of one that comes in events, with all that is around it
constexpr std::size_t kMostIdle = 64;               // lines

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

struct Pem {
    std::size_t length = 0;  // 0: none begins here
    bool whole = false;      // its end was found
};

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";

// To the end of the block, of the JSON string it stands in, or of the text.
Pem pem_at(std::string_view rest) {
    if (!rest.starts_with(kBegin)) return {};
    const auto label = rest.substr(kBegin.size(), 40);
    const auto key = label.find("PRIVATE KEY-----");
    if (key == std::string_view::npos || label.substr(0, key).find_first_of("\n\"") != std::string_view::npos)
        return {};
    const auto block = rest.substr(0, std::min(rest.find('"'), kLongestPem));
    const auto end = block.find(kEnd);
    if (end == std::string_view::npos) return {block.find_last_not_of("\r\n") + 1, false};
    const auto close = block.find("-----", end + kEnd.size());
    return {close == std::string_view::npos ? block.size() : close + 5, true};
}

// Its begin was in a text that is not here, or was rotated away.
bool ends_before_it_begins(std::string_view text) {
    const auto end = text.find(kEnd);
    if (end == std::string_view::npos || text.find(kBegin) < end) return false;
    return text.substr(end + kEnd.size(), 40).contains("PRIVATE KEY-----");
}

bool is_base64_char(char c) { return is_alnum(c) || c == '+' || c == '/' || c == '='; }

std::size_t base64_run(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        const bool slash = text.substr(at).starts_with("\\/");  // as some write JSON
        if (!slash && !is_base64_char(text[at])) break;
        at += slash ? 2 : 1;
    }
    return at;
}

// No word of a language, no path.
bool looks_like_base64(std::string_view run) {
    constexpr std::size_t kSurely = 40;  // a line of a key has 64, or 70
    constexpr std::size_t kLikely = 20;
    if (run.size() >= kSurely) return true;
    const auto has = [&](char first, char last) {
        return std::ranges::any_of(run, [&](char c) { return c >= first && c <= last; });
    };
    return run.size() >= kLikely && has('a', 'z') && has('A', 'Z') && has('0', '9');
}

// The last line of a key is short: a line, of a file or of a JSON string, that is nothing else, but for words in small
// letters, paths, and names of JSON fields.
std::size_t short_rest(std::string_view text, std::size_t at) {
    const char before = at == 0 ? '\n' : text[at - 1];
    const bool escape = at >= 2 && text[at - 2] == '\\' && std::string_view("nrt").contains(before);
    if (before != '\n' && before != '"' && !escape) return 0;
    const auto rest = text.substr(at);
    const auto run = base64_run(rest);
    const auto behind = rest.substr(run);
    const bool ends = behind.empty() || std::string_view(" \r\n\"\\").contains(behind.front());
    if (run < 2 || !ends || rest.front() == '/' || behind.starts_with("\":")) return 0;
    const bool word = std::ranges::all_of(rest.substr(0, run), [](char c) { return c >= 'a' && c <= 'z'; });
    return word ? 0 : run;
}

// Of a key whose begin is past, at `at`. A span of length 0: pass over `begin` bytes, which belong together.
std::optional<Span> key_part_at(std::string_view text, std::size_t at) {
    const auto rest = text.substr(at);
    if (rest.front() == '\\' && rest.size() > 1 && rest[1] != '/') return Span{rest[1] == 'u' ? 6u : 2u, 0};
    if (const auto whole = short_rest(text, at); whole > 0) return Span{0, whole};
    const auto run = base64_run(rest);
    if (run == 0) return {};
    return looks_like_base64(rest.substr(0, run)) ? Span{0, run} : Span{run, 0};
}

std::optional<Span> secret_at(std::string_view text, std::size_t at) {
    const auto rest = text.substr(at);
    const char c = rest.front();
    if (c == ':') return url_password(rest);
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

// The shapes, while nothing of a key is awaited, and what is left of one.
class Scan {
  public:
    Scan(std::string_view text, Redactor::State& state) : text_(text), state_(state) { out_.reserve(text.size()); }

    std::string run() {
        if (!std::exchange(state_.begun, true) && ends_before_it_begins(text_)) await_rest();
        while (at_ < text_.size()) {
            const auto rest = text_.substr(at_);
            if (rest.front() == '-' && step_over_marker(rest)) continue;
            std::optional<Span> found;
            if (kMayBegin[static_cast<unsigned char>(rest.front())]) found = secret_at(text_, at_);
            if (!found && state_.in_key) found = key_part_at(text_, at_);
            if (found && found->length > 0)
                redact(found->begin, found->length);
            else
                pass(std::clamp<std::size_t>(found ? found->begin : 1, 1, rest.size()));
        }
        out_.append(text_, copied_);
        return std::move(out_);
    }

  private:
    void await_rest() {
        state_.in_key = true;
        state_.bytes = state_.idle = 0;
    }
    bool step_over_marker(std::string_view rest) {
        if (const auto pem = pem_at(rest); pem.length > 0) {
            redact(0, pem.length);
            state_.in_key = false;
            if (!pem.whole) await_rest();
            return true;
        }
        if (!state_.in_key || !rest.starts_with(kEnd)) return false;
        const auto line = rest.substr(0, rest.find_first_of("\n\""));
        const auto close = line.find("-----", kEnd.size());
        redact(0, close == std::string_view::npos ? line.size() : close + 5);
        state_.in_key = false;
        return true;
    }
    void redact(std::size_t skip, std::size_t length) {
        out_.append(text_, copied_, at_ + skip - copied_);
        out_ += kRedacted;
        count(skip + length);
        at_ += skip + length;
        copied_ = at_;
        state_.idle = 0;
    }
    void pass(std::size_t bytes) {
        if (state_.in_key && text_[at_] == '\n') ++state_.idle;
        count(bytes);
        at_ += bytes;
    }
    // Somebody may only have mentioned the begin of one.
    void count(std::size_t bytes) {
        state_.bytes += bytes;
        if (state_.bytes > kLongestSpread || state_.idle > kMostIdle) state_.in_key = false;
    }

    const std::string_view text_;
    Redactor::State& state_;
    std::string out_;
    std::size_t at_ = 0;
    std::size_t copied_ = 0;
};

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
    State state;
    return (*this)(text, state);
}

std::string Redactor::operator()(std::string_view text, State& state) const {
    std::string out(text);
    for (const auto& value : known_) replace_all(out, value);
    return Scan(out, state).run();
}

}  // namespace codegen::worker_manager
