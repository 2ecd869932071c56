#include "shared/clients/github/etag_cache.hpp"

namespace codegen::clients::github {
namespace {

std::size_t size_of(const EtagCache::Entry& entry) {
    return entry.key.size() + entry.etag.size() + entry.response.body.size() + 1024;  // and the headers, about
}

}  // namespace

const EtagCache::Entry* EtagCache::find(std::string_view key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &*found->second;
}

void EtagCache::keep(std::string key, const http::Response& response) {
    if (const auto found = by_key_.find(key); found != by_key_.end()) drop(found->second);
    const auto etag = response.headers.get("ETag");
    if (response.status != 200 || !etag) return;
    Entry entry{std::move(key), std::string(*etag), response};
    const auto size = size_of(entry);
    if (size > limit_) return;
    entries_.push_front(std::move(entry));
    by_key_[entries_.front().key] = entries_.begin();
    bytes_ += size;
    while (bytes_ > limit_) drop(std::prev(entries_.end()));
}

void EtagCache::drop(Entries::iterator entry) {
    bytes_ -= size_of(*entry);
    by_key_.erase(entry->key);
    entries_.erase(entry);
}

}  // namespace codegen::clients::github
