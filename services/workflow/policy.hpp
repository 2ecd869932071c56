// What of a task may be tried again, and how often.
#pragma once
#include <cstdint>
#include <map>
#include <string_view>

#include "shared/base/result.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::workflow {

using Reason = contracts::FailureReason;

struct Policy {
    // A reason that is not here is never tried again: the next attempt would cost as much and end the same way.
    std::map<Reason, int> retries{{Reason::infrastructure, 1}, {Reason::out_of_memory, 1}};
    bool pull_requests = false;  // one for each completed task of a project on GitHub
    int test_returns = 3;        // failing tests: how often the developer gets the work back
    // For out_of_memory: the next attempt has twice the memory, within the cap. Bytes.
    std::int64_t memory_default = 2ll << 30;  // of a worker that asks for none
    std::int64_t memory_cap = 8ll << 30;
};

// "infrastructure=1,killed=2"; empty: none. Error "configuration": names the part that is wrong and what may stand
// there.
Result<std::map<Reason, int>> parse_retries(std::string_view text);

}  // namespace codegen::workflow
