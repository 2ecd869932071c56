// What full-text search takes out of a query and shows of a text, for both stores alike. Pure.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace codegen::api {

// Letters and digits (every byte beyond ASCII counts as a letter), ASCII in lower case, each word once, at most 32.
std::vector<std::string> search_words(std::string_view query);
// About 300 bytes around the first of `words` that occurs, else the beginning; whole UTF-8 characters.
std::string excerpt_of(std::string_view text, std::span<const std::string> words);

// Vectors as text, in single precision.
std::string pack_vector(std::span<const double> numbers);
std::vector<float> unpack_vector(std::string_view packed);  // throws std::runtime_error: not one of ours
// Cosine of the angle, -1 to 1; 0 when a vector has no length or the sizes differ.
double similarity(std::span<const float> a, std::span<const float> b);

}  // namespace codegen::api
