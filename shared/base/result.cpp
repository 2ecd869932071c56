#include "shared/base/result.hpp"

namespace codegen {

std::string_view to_string(ErrorCategory category) {
    switch (category) {
        case ErrorCategory::transient:
            return "transient";
        case ErrorCategory::upstream:
            return "upstream";
        case ErrorCategory::permanent:
            return "permanent";
        case ErrorCategory::fatal:
            return "fatal";
    }
    std::unreachable();
}

std::unexpected<Error> fail(ErrorCategory category, std::string code, std::string message, std::string path) {
    return std::unexpected(Error{category, std::move(code), std::move(message), std::move(path)});
}

Error in_context(Error error, std::string_view what) {
    error.message = std::string(what) + ": " + error.message;
    return error;
}

Error invalid(const FieldErrors& errors) {
    Error out{ErrorCategory::permanent, "invalid", {}, errors.empty() ? std::string{} : errors.front().path};
    for (const auto& e : errors) {
        if (!out.message.empty()) out.message += "; ";
        if (!e.path.empty()) out.message += e.path + ": ";
        out.message += e.message;
    }
    return out;
}

}  // namespace codegen
