// SQL with named parameters (":id") as PostgreSQL wants it: "$1", "$2", ... Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace codegen::storage {

struct PositionalSql {
    std::string text;
    std::vector<std::string> names;  // names[0] is $1; a name that occurs twice has one number
};

// Leaves texts ('it''s'), quoted identifiers, comments and casts (::bigint) alone.
PositionalSql positional(std::string_view sql);

}  // namespace codegen::storage
