// One field of a PATCH body: absent (leave it), null (clear it), or a value (set it).
#pragma once
#include <optional>
#include <utility>

namespace codegen::json {

template <class T>
struct Patch {
    using value_type = T;
    bool present = false;    // the field was there, null included
    std::optional<T> value;  // absent with `present`: null

    Patch() = default;
    Patch(T v) : present(true), value(std::move(v)) {}
    Patch(std::nullopt_t) : present(true) {}

    bool clears() const { return present && !value; }
    bool sets() const { return value.has_value(); }
    friend bool operator==(const Patch&, const Patch&) = default;
};

}  // namespace codegen::json
