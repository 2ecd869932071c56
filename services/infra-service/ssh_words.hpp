// What ssh says, and what is written for it. No I/O.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"

namespace codegen::infra {

enum class SshTrouble {
    none,
    unreachable,       // refused, no route, no answer, closed: worth another try
    host_key_changed,  // somebody else answers, or the server was installed anew
    key_rejected,
    command_failed,  // ssh itself was fine
};

// By OpenSSH's exit status (255: ssh's own) and standard error.
SshTrouble trouble_of(int exit_code, std::string_view errors);
// The last line that says something, without the frame that OpenSSH draws.
std::string ssh_reason(std::string_view errors);

// How one server is reached. Files are named by absolute paths.
struct SshTarget {
    std::string handle;  // the name that its host key is kept under
    std::string address;
    int port = 22;
    std::string user;
    std::vector<std::string> identity_files;
    std::string known_hosts_file;
    bool host_key_known = false;  // false: the first one that shows itself is believed
    bool with_password = false;   // asked through SSH_ASKPASS
    int connect_seconds = 10;
};
// An ssh_config for `ssh -F`. Permanent "invalid": a value would be read as something else (blanks, quotes, a dash).
Result<std::string> ssh_config(const SshTarget& target);

// A script that says where sshd listens; `sudo` goes before what needs root ("" or "sudo -n "). It always succeeds.
std::string listening_question(std::string_view sudo);
// The ports in its answer: of this connection, as it arrives there (a router may forward another one to it), then those
// of sshd's settings. Each once.
std::vector<int> listening_ports(std::string_view answer);

// The key of the line "handle type base64 [comment]" in a known_hosts file: "type base64"; empty: none.
std::string key_in_known_hosts(std::string_view content, std::string_view handle);
// A public key line is one key of a known kind: "ssh-ed25519 AAAA... [comment]".
bool is_public_key(std::string_view line);

}  // namespace codegen::infra
