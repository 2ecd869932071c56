#include "shared/contracts/input_entry.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "shared/base/utf8.hpp"
#include "shared/json/json.hpp"

namespace codegen::contracts {

std::string input_text(std::span<const std::pair<std::string, std::string>> fields) {
    using Field = std::pair<std::string, std::string>;
    if (const auto data = std::ranges::find(fields, "data", &Field::first); data != fields.end()) return data->second;
    boost::json::object object;
    for (const auto& [name, value] : fields) {
        // Stream fields are text; these members are not.
        const bool typed = name == "timeout" || name == "budget_usd" || name == "allowed_commands" || name == "user_id";
        auto parsed =
            typed ? json::parse_any(value) : json::Parsed<boost::json::value>(boost::json::value(valid_utf8(value)));
        object[name] = parsed ? std::move(*parsed) : boost::json::value(valid_utf8(value));
    }
    return boost::json::serialize(object);
}

}  // namespace codegen::contracts
