// A POST whose body is made while it is sent (a build context is half a gigabyte), and whose answer is a sequence of
// JSON documents read as they come. shared/http sends whole bodies only.
#pragma once
#include <boost/json/value.hpp>
#include <functional>
#include <string>

#include "shared/async/async.hpp"
#include "shared/clients/docker/tar.hpp"

namespace codegen::clients {

struct UploadAnswer {
    unsigned status = 0;
    std::string error_body;  // when status >= 400
};

// Transient "unavailable" when the engine cannot be reached or goes away. Cancelling closes the connection, which makes
// the engine give up the build.
Task<Result<UploadAnswer>> upload(std::string socket, std::string target, BodySource body,
                                  std::function<void(const boost::json::value&)> on_message);

}  // namespace codegen::clients
