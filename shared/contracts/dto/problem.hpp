// RFC 9457 problem documents, and /health.
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"

namespace codegen::contracts {

struct ProblemField {
    std::string path;
    std::string message;
};
BOOST_DESCRIBE_STRUCT(ProblemField, (), (path, message))

struct ProblemDocument {
    std::string type = "about:blank";
    std::string title;
    std::int64_t status = 0;
    std::optional<std::string> detail;
    std::vector<ProblemField> errors;

    static constexpr std::array<std::string_view, 3> defaulted{"type", "title", "errors"};
};
BOOST_DESCRIBE_STRUCT(ProblemDocument, (), (type, title, status, detail, errors))

struct Health {
    std::string status;  // "ok" or what is wrong
    bool database = false;
    std::string version;
    double uptime_seconds = 0;
};
BOOST_DESCRIBE_STRUCT(Health, (), (status, database, version, uptime_seconds))

}  // namespace codegen::contracts
