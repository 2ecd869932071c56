// The Redis user of one worker (docs, "Security" 5): reads its own streams and keys, writes its own,
// `worker:lifecycle`, the output stream of its type and the dead letters of what it reads. No trim, delete, script or
// configuration command. Pure.
#pragma once
#include <string>

#include "services/worker-manager/gateway/identity.hpp"
#include "shared/resp/resp.hpp"

namespace codegen::worker_manager {

std::string acl_user(std::string_view worker_id);

// The whole ACL SETUSER command; applying it again changes nothing. Only the password's SHA-256 is in it. Needs Redis 7
// (selectors). `database` other than 0 adds SELECT.
redis::Arguments acl_rules(const GatewayIdentity& worker, std::string_view password, int database);

// Names whose streams would be somebody else's keys (`worker:developer:input` is the shared pool); no worker may have
// one of them.
bool is_reserved_worker_name(std::string_view worker_id);

}  // namespace codegen::worker_manager
