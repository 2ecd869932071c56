#include "services/worker-manager/gateway/model_answer.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

namespace codegen::worker_manager {
namespace {

bool is_event_stream(const http::Response& head) {
    return head.headers.get("Content-Type").value_or("").starts_with("text/event-stream");
}

}  // namespace

ModelAnswer::ModelAnswer(Gate gate, std::unique_ptr<http::ResponseStream> stream, Asked asked)
    : gate_(std::move(gate)),
      stream_(std::move(stream)),
      asked_(asked),
      event_stream_(is_event_stream(stream_->head())),
      usage_(event_stream_) {}

ModelAnswer::~ModelAnswer() {
    if (!asked_.costs) return;
    usage_.finish();
    charge();
    if (!usage_.complete()) {
        ++gate_->counts.model_unmetered;
        charge_estimate();
    }
    if (!gate_->tell || !gate_->spending.run()) return;
    const auto& spending = gate_->spending;
    gate_->tell(boost::json::serialize(boost::json::object{
                    {"run", *spending.run()}, {"tokens", spending.tokens()}, {"usd", spending.usd()}}) +
                "\n");
}

void ModelAnswer::charge() {
    const auto now = usage_.usage();
    const auto more = now - charged_;
    if (more == ModelUsage{}) return;
    charged_ = now;
    auto& counts = gate_->counts;
    counts.model_input_tokens += more.input_tokens;
    counts.model_output_tokens += more.output_tokens;
    counts.model_cache_read_tokens += more.cache_read_tokens;
    counts.model_cache_write_tokens += more.cache_write_tokens;
    spend(more);
}

// The provider has done work whose figures never came; else an agent that cuts each answer short would work for
// nothing. Four bytes of text are about a token; an event of a stream carries about one in more than 64 bytes.
void ModelAnswer::charge_estimate() {
    ModelUsage estimate;
    if (charged_.input_tokens + charged_.cache_read_tokens + charged_.cache_write_tokens == 0)
        estimate.input_tokens = asked_.bytes / 4;
    estimate.output_tokens = std::max<std::int64_t>(0, received_ / (event_stream_ ? 64 : 4) - charged_.output_tokens);
    spend(estimate);
}

void ModelAnswer::spend(const ModelUsage& more) {
    gate_->spending.add(more, asked_.price);
    if (asked_.price) gate_->counts.model_cost_microusd += std::llround(cost_usd(*asked_.price, more) * 1e6);
    if (const auto why = gate_->spending.exceeded()) halt(gate_, "budget", *why);
}

void ModelAnswer::ended() {
    if (!asked_.costs) return;
    if (!usage_.failed()) return gate_->patience.succeeded();
    ++gate_->counts.model_errors;
    provider_failed(gate_, "an error in the middle of an answer");
}

Task<Result<void>> ModelAnswer::pass_on(std::shared_ptr<ModelAnswer> self, http::Stream* worker) {
    for (;;) {
        auto piece = co_await self->stream_->read_some();
        if (!piece) {
            // The worker went away, which is no failure of the provider's.
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() == asio::cancellation_type::none) {
                ++self->gate_->counts.model_errors;
                if (self->asked_.costs) provider_failed(self->gate_, "a cut answer");
            }
            co_return std::unexpected(in_context(piece.error(), "model provider"));
        }
        if (piece->empty()) {
            self->ended();
            co_return Result<void>{};
        }
        const auto bytes = static_cast<std::int64_t>(piece->size());
        self->gate_->counts.model_bytes_received += bytes;
        self->received_ += bytes;
        if (self->asked_.costs) {
            self->usage_.feed(*piece);
            self->charge();
        }
        auto written = co_await worker->write(*piece);
        if (!written) co_return written;
    }
}

http::Reply ModelAnswer::reply(std::shared_ptr<ModelAnswer> self) {
    const auto& head = self->stream_->head();
    http::Reply reply;
    reply.head.status = head.status;
    reply.head.headers = end_to_end(head.headers);
    reply.head.headers.erase(kOwnAnswer);
    // The body passes unchanged, so a known length stays true.
    if (const auto length = head.headers.get("Content-Length"))
        reply.head.headers.set("Content-Length", std::string(*length));
    reply.body = [self](http::Stream& worker) { return pass_on(self, &worker); };
    return reply;
}

}  // namespace codegen::worker_manager
