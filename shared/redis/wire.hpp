// The byte stream below a client: unix socket, TCP or TLS.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <functional>
#include <memory>

#include "shared/redis/client.hpp"

namespace codegen::redis {

// Handlers keep the wire alive themselves. One read and one write at a time.
class Wire {
  public:
    using Handler = std::function<void(boost::system::error_code, std::size_t)>;

    virtual ~Wire() = default;
    virtual Task<Result<void>> open(Address address) = 0;  // connected, for TLS: certificate checked
    virtual void read_some(asio::mutable_buffer buffer, Handler handler) = 0;
    virtual void write_all(asio::const_buffer buffer, Handler handler) = 0;
    virtual void close() = 0;  // pending operations end with operation_aborted
};

// `address` decides the kind.
std::shared_ptr<Wire> make_wire(const asio::any_io_executor& executor, const Address& address);

}  // namespace codegen::redis
