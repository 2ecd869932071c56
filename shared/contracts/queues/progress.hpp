// task_progress:{task_id}.
#pragma once
#include "shared/contracts/queues/base.hpp"

namespace codegen::contracts {

struct ProgressEvent {
    ProgressType type{};
    std::string request_id = new_uuid();
    std::optional<std::string> task_id;
    Timestamp timestamp = system_now();
    std::optional<std::string> message;
    std::optional<std::int64_t> progress_pct;
    std::optional<std::string> current_step;
    std::optional<std::string> error;

    static constexpr std::array<std::string_view, 2> defaulted{"request_id", "timestamp"};
};
BOOST_DESCRIBE_STRUCT(ProgressEvent, (),
                      (type, request_id, task_id, timestamp, message, progress_pct, current_step, error))

}  // namespace codegen::contracts
