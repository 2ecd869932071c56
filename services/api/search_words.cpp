#include "services/api/search_words.hpp"

#include <algorithm>
#include <boost/algorithm/hex.hpp>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace codegen::api {
namespace {

constexpr std::size_t kMostWords = 32;
constexpr std::size_t kLongestWord = 100;
constexpr std::size_t kBefore = 100;  // bytes before the word that is shown
constexpr std::size_t kExcerpt = 300;

bool in_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           static_cast<unsigned char>(c) >= 0x80;
}
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Where the first of `words` stands in `text` by itself; npos: nowhere.
std::size_t find_first(std::string_view text, std::span<const std::string> words) {
    std::string word;
    for (std::size_t at = 0; at < text.size();) {
        if (!in_word(text[at])) {
            ++at;
            continue;
        }
        const auto begin = at;
        word.clear();
        for (; at < text.size() && in_word(text[at]); ++at) word += lower(text[at]);
        if (std::ranges::find(words, word) != words.end()) return begin;
    }
    return std::string_view::npos;
}

}  // namespace

std::vector<std::string> search_words(std::string_view query) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < query.size() && words.size() < kMostWords;) {
        if (!in_word(query[at])) {
            ++at;
            continue;
        }
        std::string word;
        for (; at < query.size() && in_word(query[at]); ++at) word += lower(query[at]);
        if (word.size() <= kLongestWord && std::ranges::find(words, word) == words.end())
            words.push_back(std::move(word));
    }
    return words;
}

std::string excerpt_of(std::string_view text, std::span<const std::string> words) {
    const auto at = find_first(text, words);
    std::size_t begin = at == std::string_view::npos || at < kBefore ? 0 : at - kBefore;
    while (begin > 0 && begin < text.size() && continues_character(text[begin])) --begin;
    auto end = std::min(text.size(), begin + kExcerpt);
    while (end < text.size() && end > begin && continues_character(text[end])) --end;
    return std::string(text.substr(begin, end - begin));
}

std::string pack_vector(std::span<const double> numbers) {
    std::string bytes;
    for (const auto number : numbers) {
        const auto single = static_cast<float>(number);
        char raw[sizeof single];
        std::memcpy(raw, &single, sizeof single);
        bytes.append(raw, sizeof raw);
    }
    std::string packed;
    boost::algorithm::hex_lower(bytes, std::back_inserter(packed));
    return packed;
}

std::vector<float> unpack_vector(std::string_view packed) {
    std::string bytes;
    try {
        boost::algorithm::unhex(packed, std::back_inserter(bytes));
    } catch (const boost::algorithm::hex_decode_error&) {
        throw std::runtime_error("a stored embedding is damaged");
    }
    std::vector<float> numbers(bytes.size() / sizeof(float));
    std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(float));
    return numbers;
}

double similarity(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size()) return 0;
    double product = 0;
    double length_a = 0;
    double length_b = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        product += double{a[i]} * double{b[i]};
        length_a += double{a[i]} * double{a[i]};
        length_b += double{b[i]} * double{b[i]};
    }
    return length_a > 0 && length_b > 0 ? product / std::sqrt(length_a) / std::sqrt(length_b) : 0;
}

}  // namespace codegen::api
