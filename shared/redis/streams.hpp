// What is done to streams and groups beyond publishing and reading. Where a decision and its effect must not be parted,
// a script does both in the server.
#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/redis/client.hpp"

namespace codegen::redis {

// One consumer's place in one group.
struct Membership {
    std::string stream;
    std::string group;
    std::string consumer;
};

// Makes stream and group, reading from the beginning. Success when they are there.
Task<Result<void>> make_group(Client& client, Membership at);

// Makes the consumer when it is absent, and counts as its visit (last_consumer()). Needed since Redis 7.0 and older
// note nothing of a consumer that waits in a blocking read and gets nothing, also not its name.
Task<Result<void>> show_presence(Client& client, Membership at);

// The ids pending with this consumer, with their delivery counts; at most `limit`.
Task<Result<std::vector<std::pair<std::string, int>>>> own_pending(Client& client, Membership at, std::size_t limit);

// Moves what has been pending for `idle` with anybody to this consumer, walking to the end of the list; no delivery is
// counted. Returns the ids.
Task<Result<std::vector<std::string>>> claim_abandoned(Client& client, Membership at, std::chrono::milliseconds idle);

// Reads a pending entry of this consumer and sets its delivery count. Nothing when it is not (any more) its own or was
// deleted.
Task<Result<std::vector<StreamEntry>>> take_over(Client& client, Membership at, std::string id, int deliveries);

// Sets delivery counts of entries that are still pending with this consumer, and makes them look fresh.
Task<Result<void>> give_back(Client& client, Membership at, std::vector<std::pair<std::string, int>> entries);
// Makes them look fresh: nobody claims what is still being worked on.
Task<Result<void>> keep_alive(Client& client, Membership at, std::vector<std::string> ids);

// Acknowledges and, when that was still due, adds the fields to {stream}:dlq: both or neither. `more`: further fields.
Task<Result<void>> dead_letter(Client& client, Membership at, std::string id, std::string original_message,
                               std::string error_context, std::vector<std::pair<std::string, std::string>> more = {});

// Further fields of a dead letter, so that a retry adds the entry as it was.
inline constexpr std::string_view kDeadLetterForm = "original_form";  // "fields": it had no `data`, but these fields
inline constexpr std::string_view kDeadLetterTrace = "traceparent";

// Adds the message of a dead letter to its stream again and removes the letter: both or neither. The new entry's id, or
// empty: there is no such letter (any more).
Task<Result<std::string>> retry_dead_letter(Client& client, std::string stream, std::string letter_id);

// Streams of dead letters that hold any, by the name of the stream they came from, with their number; sorted.
Task<Result<std::map<std::string, std::int64_t>>> dead_letter_counts(Client& client);

// How long ago a consumer of the group was last at its stream, in the case of the one seen last; nullopt: there is no
// consumer (or no group, or no stream). A consumer of ours that runs is there at least every 15 s, also when idle.
Task<Result<std::optional<std::chrono::milliseconds>>> last_consumer(Client& client, std::string stream,
                                                                     std::string group);
// Such a consumer runs: it was there within this time.
inline constexpr std::chrono::seconds kConsumerAlive{45};

// Removes consumers that have nothing pending and have not been seen for `idle`; how many.
Task<Result<std::int64_t>> remove_idle_consumers(Client& client, Membership at, std::chrono::milliseconds idle);

// Deletes the entries that every group has read and acknowledged, but never the last `keep`; how many. A stream without
// groups is left alone.
Task<Result<std::int64_t>> trim_consumed(Client& client, std::string stream, std::size_t keep = 0);

}  // namespace codegen::redis
