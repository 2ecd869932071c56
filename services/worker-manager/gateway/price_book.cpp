#include "services/worker-manager/gateway/price_book.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "shared/http/url.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

constexpr std::size_t kMostKnown = 1000;  // the names are the agents' choice
constexpr std::size_t kLongestName = 200;
constexpr double kCacheWrite = 1.25;

std::optional<double> amount(const boost::json::object& model, std::string_view name) {
    const auto* value = model.if_contains(name);
    if (!value || !value->is_number()) return {};
    const auto number = value->to_number<double>();
    return number >= 0 ? std::optional(number) : std::nullopt;
}

Task<Result<std::optional<std::string>>> fetch(clients::ApiClient api, std::string model) {
    auto entry = co_await api.call("GET", "/api/available-models/" + http::percent_encode(model));
    if (entry) co_return std::optional(std::move(*entry));
    if (entry.error().code == "not_found") co_return std::optional<std::string>{};
    co_return std::unexpected(entry.error());
}

}  // namespace

PriceBook::Fetch prices_from(clients::ApiClient api) {
    return [api = std::move(api)](std::string model) { return fetch(api, std::move(model)); };
}

std::optional<ModelPrice> price_from_json(std::string_view entry) {
    boost::system::error_code ec;
    const auto value = boost::json::parse(entry, ec);
    const auto* model = ec ? nullptr : value.if_object();
    if (!model) return {};
    const auto input = amount(*model, "input_price");
    const auto output = amount(*model, "output_price");
    if (!input || !output) return {};
    return ModelPrice{*input, *output, amount(*model, "cache_read_price").value_or(*input),
                      amount(*model, "cache_write_price").value_or(*input * kCacheWrite)};
}

std::string without_date(std::string_view model) {
    for (const std::string_view shape : {"-dddddddd", "-dddd-dd-dd"}) {
        if (model.size() <= shape.size()) continue;
        const auto end = model.substr(model.size() - shape.size());
        const bool dated =
            std::ranges::equal(end, shape, [](char c, char s) { return s == 'd' ? c >= '0' && c <= '9' : c == s; });
        if (dated) return std::string(model.substr(0, model.size() - shape.size()));
    }
    return {};
}

Task<Result<std::optional<ModelPrice>>> PriceBook::entry(PriceBook* self, std::string model) {
    const auto found = self->known_.find(model);
    if (found != self->known_.end() && std::chrono::steady_clock::now() - found->second.asked <= self->life_)
        co_return found->second.price;
    auto fetched = co_await self->fetch_(model);
    const auto former = self->known_.find(model);
    if (!fetched) {
        if (former == self->known_.end()) co_return std::unexpected(in_context(fetched.error(), "price of a model"));
        log::warning("price of a model; the former one stays", {{"model", model}, {"error", fetched.error().message}});
        co_return former->second.price;
    }
    if (former == self->known_.end() && self->known_.size() >= kMostKnown) self->known_.clear();
    const auto price = *fetched ? price_from_json(**fetched) : std::nullopt;
    self->known_[model] = {price, std::chrono::steady_clock::now()};
    co_return price;
}

Task<Result<std::optional<ModelPrice>>> PriceBook::find(std::shared_ptr<PriceBook> self, std::string model) {
    if (model.empty() || model.size() > kLongestName) co_return std::optional<ModelPrice>{};
    auto own = co_await entry(self.get(), model);
    if (!own || *own) co_return own;
    auto undated = without_date(model);
    if (undated.empty()) co_return own;
    co_return co_await entry(self.get(), std::move(undated));
}

}  // namespace codegen::worker_manager
