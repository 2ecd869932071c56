// Housekeeping of what the workflow owns beside its tables: consumed stream entries and half-made repositories.
#pragma once
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "shared/redis/client.hpp"

namespace codegen::workflow {

struct UpkeepOptions {
    std::chrono::milliseconds interval{std::chrono::minutes(5)};
    std::size_t keep_entries = 1000;         // of each stream, for people who look
    std::chrono::minutes half_made_age{10};  // another copy may be making one right now
};

// Until cancelled; begins at once. `streams` are those whose group the workflow owns: entries go only when every group
// has read and acknowledged them. Errors are logged and tried again the next time. `redis` outlives it.
Task<void> keep_up(redis::Client* redis, std::vector<std::string> streams, std::filesystem::path repositories,
                   UpkeepOptions options);

}  // namespace codegen::workflow
