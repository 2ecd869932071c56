// A Debian server for tests: a container with sshd, apt, room for an engine of its own, and nothing provisioned. Needs
// root and a Docker engine. Blocking; not for use on an io_context that runs.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "shared/process/process.hpp"

namespace codegen::testing {

struct SshKeys {
    std::string private_key;
    std::string public_key;  // one line, without its end
};
SshKeys make_ssh_keys();  // ed25519, without a passphrase

// The program's outcome; throws std::runtime_error when it does not start or does not end within `limit`.
process::Outcome run_program(std::vector<std::string> argv, std::string input = {},
                             std::chrono::seconds limit = std::chrono::seconds(60));

class TestServer {
  public:
    // Runs, answers on port 22 of address() and lets root in with this key. Its image is made once, with mmdebstrap,
    // and kept by the engine as codegen-test-server:<hash>. Throws std::runtime_error when it cannot be made.
    explicit TestServer(const std::string& authorized_key);
    ~TestServer();  // the container and its volumes are gone
    TestServer(const TestServer&) = delete;

    const std::string& address() const { return address_; }
    const std::string& name() const { return name_; }
    // A shell script as root in it.
    process::Outcome try_exec(const std::string& script, std::chrono::seconds limit = std::chrono::seconds(60)) const;
    // Its output; throws std::runtime_error with the script's words when it fails.
    std::string exec(const std::string& script, std::chrono::seconds limit = std::chrono::seconds(60)) const;
    void die() const;            // at once, as when its power is cut
    void new_host_keys() const;  // as a system that was installed anew has them
    void start_sshd() const;
    void stop_sshd() const;

  private:
    std::string name_;
    std::string address_;
};

}  // namespace codegen::testing
