// Prices of models, from the API's available-models.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "services/worker-manager/gateway/spending.hpp"
#include "shared/async/async.hpp"
#include "shared/base/result.hpp"
#include "shared/clients/api/api_client.hpp"

namespace codegen::worker_manager {

// The entry that GET /api/available-models/{id} answers. Without input and output price it has none here. A missing
// cache price is the input price, and for writing 1.25 times it (Anthropic's pricing of its 5-minute cache).
std::optional<ModelPrice> price_from_json(std::string_view entry);
// "claude-sonnet-4-5-20250929" -> "claude-sonnet-4-5"; "gpt-5-2025-08-07" -> "gpt-5". "": it has no date at its end.
std::string without_date(std::string_view model);

// Use on one thread. A model is asked for when somebody needs its price, and what was found is kept for `life`, longer
// while the API cannot be asked. A model that has no entry of its own has that of its name without the date.
class PriceBook {
  public:
    // The entry's JSON; nullopt: there is none.
    using Fetch = std::function<Task<Result<std::optional<std::string>>>(std::string model)>;
    explicit PriceBook(Fetch fetch, std::chrono::milliseconds life = std::chrono::seconds(60))
        : fetch_(std::move(fetch)), life_(life) {}
    // nullopt: no price is known. Errors: the API's, while there is nothing to go by. `self` keeps the book meanwhile.
    static Task<Result<std::optional<ModelPrice>>> find(std::shared_ptr<PriceBook> self, std::string model);

  private:
    static Task<Result<std::optional<ModelPrice>>> entry(PriceBook* self, std::string model);
    struct Known {
        std::optional<ModelPrice> price;
        std::chrono::steady_clock::time_point asked;
    };
    const Fetch fetch_;
    const std::chrono::milliseconds life_;
    std::map<std::string, Known> known_;
};

// Asks the API, which knows `api` as a service.
PriceBook::Fetch prices_from(clients::ApiClient api);

}  // namespace codegen::worker_manager
