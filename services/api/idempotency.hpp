// POST with an Idempotency-Key: the same request again gets the same answer, for 24 hours, and has one effect - also
// when the first one is still under way or its process died. Another request with the key of a first one: 422.
#pragma once
#include <string>

#include "services/api/resource.hpp"

namespace codegen::api {

class Idempotency {
  public:
    // Whether this request asks for it. A key that is none is the handler's to refuse: answer() does.
    static bool wanted(const http::Request& request);
    // The handler's answer, or that of the same request before. What it keeps is sealed: an answer may hold a secret.
    Task<http::Response> answer(const Context* context);

  private:
    Task<void> forget_the_old(storage::Database* database, Timestamp now);
    Timestamp next_look_{};
};

}  // namespace codegen::api
