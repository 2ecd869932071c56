// Commands on a server through OpenSSH's own client.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "services/infra-service/run_directory.hpp"
#include "services/infra-service/ssh_words.hpp"
#include "shared/async/async.hpp"
#include "shared/process/process.hpp"

namespace codegen::infra {

using std::chrono::milliseconds;

// An error's code is one of these where a server, and not this host, is the reason.
inline constexpr std::string_view kUnreachable = "unreachable";
inline constexpr std::string_view kHostKeyChanged = "host_key_changed";
inline constexpr std::string_view kKeyRejected = "key_rejected";

// Use on one thread. The run directory outlives it: its ssh_config, keys and password live there.
class SshConnection {
  public:
    // `password`: instead of keys, given to ssh through a file and SSH_ASKPASS.
    static Result<SshConnection> make(const RunDirectory& run, SshTarget target, const std::string& password = {});

    const std::filesystem::path& config() const { return config_; }
    // Its outcome, whatever the command's exit status. Errors: the codes above, "missing" (no ssh here), "timeout".
    // What `input` holds does not become part of any command line.
    Task<Result<process::Outcome>> command(std::string script, std::string input, milliseconds limit) const;
    // Logs in; an unreachable server is tried again after each of `waits`.
    Task<Result<void>> reach(std::vector<milliseconds> waits) const;
    // Adds the line to the user's authorized_keys unless it stands there.
    Task<Result<void>> install_key(std::string public_key) const;

  private:
    SshConnection(SshTarget target, std::filesystem::path config, std::map<std::string, std::string> environment)
        : target_(std::move(target)), config_(std::move(config)), environment_(std::move(environment)) {}
    SshTarget target_;
    std::filesystem::path config_;
    std::map<std::string, std::string> environment_;
};

// A new key pair's private half, and the public half of a private key ("ssh-ed25519 AAAA... comment"). The error names
// what is wrong with a key: a passphrase, no key at all.
Task<Result<std::string>> make_key(const RunDirectory* run, std::string comment);
Task<Result<std::string>> public_half(const RunDirectory* run, std::string private_key);
// Private keys end with a newline and have none of Windows'.
std::string as_key_file(std::string text);

}  // namespace codegen::infra
