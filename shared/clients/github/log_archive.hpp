// A zip archive from elsewhere, read in memory and not believed: every size is what was really unpacked. No I/O.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/clients/github/requests.hpp"

namespace codegen::clients::github {

// Its files in its order; folders are left out. Errors, permanent: "too_large", naming the limit; "invalid": no zip, a
// damaged or encrypted one, or a name that leads out of where it is put (absolute, "..", a backslash, a control
// character).
Result<std::vector<LogFile>> unpack_logs(std::string_view archive, const LogLimits& limits);

}  // namespace codegen::clients::github
