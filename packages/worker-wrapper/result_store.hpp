// The results of this worker in its state directory, synced before they are published: they outlive Redis, the wrapper
// and the body. Also how often a request was begun, so that one that kills its worker every time is given up.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

class ResultStore {
  public:
    explicit ResultStore(std::filesystem::path directory) : directory_(std::move(directory)) {}

    struct Known {
        std::string request_id;
        bool published = false;
    };
    std::vector<Known> known() const;  // oldest first

    // result-<request_id>.json; the request id is checked before it becomes a file name.
    Result<void> save(const contracts::ResultFile& result) const;
    Result<contracts::ResultFile> load(const std::string& request_id) const;
    void mark_published(const std::string& request_id) const;  // a lost mark only costs a duplicate

    // Counts one more start of this request; the new count.
    int count_attempt(const std::string& request_id) const;

  private:
    std::filesystem::path file(std::string_view prefix, const std::string& request_id, std::string_view suffix) const;
    std::filesystem::path directory_;
};

// 1..128 of letters, digits, '.', '_', '-', not beginning with '.'.
bool is_request_id(std::string_view text);

}  // namespace codegen::wrapper
