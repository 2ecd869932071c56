// Errors as values. Every function that can fail in a way its caller handles returns Result<T>.
// Exceptions do not cross a module's border.
#pragma once
#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace codegen {

// What a caller does about it (docs/protocols.md, "Errors, retries, dead letters").
enum class ErrorCategory {
    transient,  // timeout, connection reset, 503: try again soon
    upstream,   // somebody else's limit or overload: try again later
    permanent,  // does not validate, 4xx, illegal status: never succeeds
    fatal,      // bad credentials, no database: stop
};
std::string_view to_string(ErrorCategory category);

struct Error {
    ErrorCategory category = ErrorCategory::permanent;
    std::string code;     // for programs: "not_found", "conflict", "timeout", "invalid", "connection", ...
    std::string message;  // for people: names the thing, the value and the way out
    std::string path;     // place in a document ("config.capabilities[2]"), or empty
    std::optional<std::chrono::seconds> retry_after{};  // what the other side asked for, with upstream and transient
};

template <class T>
using Result = std::expected<T, Error>;

// One thing wrong with one field of an input; validation reports all of them at once.
struct FieldError {
    std::string path;
    std::string message;
};
using FieldErrors = std::vector<FieldError>;

std::unexpected<Error> fail(ErrorCategory category, std::string code, std::string message, std::string path = {});
// The caller's half of a message: "create worker 7f3a: image worker:ab12: ...".
Error in_context(Error error, std::string_view what);
// All of `errors` as one permanent "invalid" error; its path is that of the first.
Error invalid(const FieldErrors& errors);

}  // namespace codegen
