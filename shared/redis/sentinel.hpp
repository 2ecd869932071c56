// Where to connect to now, and how TLS is set up for it. For those who make connections of their own.
#pragma once
#include <boost/asio/ssl/context.hpp>

#include "shared/redis/client.hpp"

namespace codegen::redis {

// `address` itself, or, with sentinels, the server that the first of them to answer calls the master. Takes at most 2 s
// a sentinel. Error: transient "connection", naming each sentinel and what is wrong with it.
Task<Result<Address>> find_server(Address address);

// Authorities and our own certificate, as `address` names them; the peer is verified. Error: permanent "tls", naming
// the file.
Result<void> prepare_tls(boost::asio::ssl::context& context, const Address& address);

}  // namespace codegen::redis
