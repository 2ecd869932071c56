// What the messages inherit (docs/protocols.md, "Envelope"). Ids and times default to new ones and now.
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/ids.hpp"
#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/contracts/rules.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::contracts {

struct QueueMeta {
    std::string version = "1";
    std::string correlation_id = new_uuid();
    Timestamp timestamp = system_now();

    static constexpr std::array<std::string_view, 3> defaulted{"version", "correlation_id", "timestamp"};
    static constexpr std::array<json::Rule, 1> rules{only("version", "1")};
};
BOOST_DESCRIBE_STRUCT(QueueMeta, (), (version, correlation_id, timestamp))

struct BaseMessage : QueueMeta {
    std::string request_id = new_uuid();
    std::optional<std::string> callback_stream;

    static constexpr std::array<std::string_view, 1> defaulted{"request_id"};
};
BOOST_DESCRIBE_STRUCT(BaseMessage, (QueueMeta), (request_id, callback_stream))

struct BaseResult {
    std::string request_id = new_uuid();
    ResultStatus status{};
    std::optional<std::string> error;
    std::optional<std::int64_t> duration_ms;

    static constexpr std::array<std::string_view, 1> defaulted{"request_id"};
};
BOOST_DESCRIBE_STRUCT(BaseResult, (), (request_id, status, error, duration_ms))

}  // namespace codegen::contracts
