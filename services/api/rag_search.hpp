// Search over the table rag_entries, in what the caller may see: by words (SQLite FTS5, PostgreSQL tsvector), by
// embeddings of as many dimensions (the newest 20,000 are compared one by one), or both.
#pragma once
#include <vector>

#include "services/api/resource.hpp"
#include "shared/contracts/dto/rag.hpp"

namespace codegen::api {

// Best first. With words and an embedding the two orders are merged by rank (reciprocal rank fusion).
Task<Result<std::vector<contracts::RagHit>>> search(const Context* context, contracts::RagQuery query);

}  // namespace codegen::api
