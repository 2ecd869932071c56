// Acceptance F: what a worker can reach and see, tried from inside, as the agent.
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <sstream>

#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {

class Isolation : public OnEachRuntime {
  protected:
    // Runs `script` as the agent and returns what it wrote to the file `report`.
    std::string inside(ControlPlane& plane, const std::string& script) {
        const auto project = plane.create_project("p");
        const auto task = plane.start_task(project, "{ " + script + "\n} > report 2>&1; " + kCommitAndReport);
        const auto record = plane.wait_for_end(task);
        EXPECT_EQ(record.at("status").as_string(), "completed") << boost::json::serialize(record);
        return plane
            .run({"git", "-C", (plane.state() / "repositories" / (project + ".git")).string(), "show",
                  "task/" + task + ":report"})
            .output;
    }
    static std::string reversed(std::string text) {
        std::ranges::reverse(text);
        return text;
    }
};

TEST_P(Isolation, PidOneIsOursAndTheCommandIsOnThePath) {
    ControlPlane plane({.runtime = runtime()});
    const auto report = inside(
        plane,
        "cat /proc/1/comm; command -v orchestrator; id -u; grep -E '^(NoNewPrivs|CapEff|Seccomp):' /proc/self/status");
    EXPECT_TRUE(report.starts_with("worker-wrapper\n")) << report;
    EXPECT_TRUE(report.contains("/opt/codegen/bin/orchestrator")) << report;
    EXPECT_TRUE(report.contains("NoNewPrivs:\t1")) << report;
    EXPECT_TRUE(report.contains("CapEff:\t0000000000000000")) << report;
    EXPECT_TRUE(report.contains("Seccomp:\t2")) << report;
    EXPECT_FALSE(report.contains("\n0\n")) << "the agent must not be root: " << report;
}

TEST_P(Isolation, NoCanaryOfAnySecretIsFound) {
    const auto canary = "canary" + random_token(12);
    ControlPlane plane({.runtime = runtime(), .environment = {{"ANTHROPIC_API_KEY", canary}}});
    std::vector<std::string> secrets{canary};
    for (const char* file : {"admin.token", "service.token"}) {
        auto token = posix::read_file(plane.state() / file, 4096);
        ASSERT_TRUE(token);
        secrets.push_back(token->substr(0, token->find('\n')));
    }
    auto url = posix::read_file(plane.state() / "redis.url", 4096);
    ASSERT_TRUE(url);
    const auto address = redis::parse_address(*url);
    ASSERT_TRUE(address);
    ASSERT_FALSE(address->password.empty());
    secrets.push_back(address->password);
    // Reversed in the script: its own text must not be what the search finds.
    std::string script = "found=0\n";
    for (const auto& secret : secrets) {
        ASSERT_GE(secret.size(), 16u);
        script += "s=$(printf %s " + reversed(secret) + " | rev 2>/dev/null || printf %s " + reversed(secret) +
                  " | perl -ne 'print scalar reverse')\n"
                  "grep -rlsF --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr -e \"$s\" / && found=1\n"
                  "for p in /proc/[0-9]*; do for f in environ cmdline maps; do tr '\\0' '\\n' < $p/$f 2>/dev/null | "
                  "grep -qF -e \"$s\" && { echo $p/$f; found=1; }; done; done\n";
    }
    script += "echo found=$found; cat /run/codegen/wrapper/redis.sock 2>&1; ls /var/lib/codegen-worker 2>&1";
    const auto report = inside(plane, script);
    EXPECT_TRUE(report.contains("found=0")) << report;
    EXPECT_FALSE(plane.log().contains(canary)) << "a secret is in the log";
}

TEST_P(Isolation, NothingBeyondTheGatewayCanBeReached) {
    // A listener on every address of the host: from inside none of them is there.
    boost::asio::io_context io;
    boost::asio::ip::tcp::acceptor listener(io, {boost::asio::ip::tcp::v4(), 0});
    const auto port = std::to_string(listener.local_endpoint().port());
    ControlPlane plane({.runtime = runtime()});
    std::istringstream addresses(plane.run({"hostname", "-I"}).output);
    std::string script;
    for (std::string address; addresses >> address;)
        if (!address.contains(':'))
            script += "(exec 3<>/dev/tcp/" + address + "/" + port + ") && echo REACHED " + address + "\n";
    for (const char* target : {"127.0.0.1", "172.17.0.1", "172.17.0.2", "deb.debian.org", "localhost"})
        script += "(exec 3<>/dev/tcp/" + std::string(target) + "/" + port + ") && echo REACHED " + target + "\n";
    script +=
        R"(perl -MIO::Socket::UNIX -e 'for (@ARGV) { print IO::Socket::UNIX->new(Peer => $_) ? "REACHED $_\n" : "refused $_: $!\n" }' \
        /run/codegen/wrapper/redis.sock /var/run/docker.sock /run/docker.sock )" +
        (plane.state() / "api.sock").string() + " " + (plane.state() / "manager.sock").string() + " " +
        (plane.state() / "redis" / "redis.sock").string() + "\n";
    script += "echo done";
    const auto report = inside(plane, script);
    EXPECT_TRUE(report.contains("done")) << report;
    EXPECT_FALSE(report.contains("REACHED")) << report;
    EXPECT_TRUE(report.contains("refused /run/codegen/wrapper/redis.sock")) << report;
}

TEST_P(Isolation, DeniedStaysDeniedAfterEditingTheEnvironment) {
    ControlPlane plane({.runtime = runtime()});
    const auto report = inside(
        plane,
        "orchestrator --json project create --name evil; echo first=$?; "
        "ALLOWED_COMMANDS='*' orchestrator --json project create --name evil; echo second=$?; "
        "ALLOWED_COMMANDS='*' orchestrator --json engineering start --project $PROJECT_ID --spec evil; echo third=$?; "
        "orchestrator --json project get $PROJECT_ID; echo fourth=$?");
    EXPECT_TRUE(report.contains("first=3")) << report;
    EXPECT_TRUE(report.contains("second=3")) << report;
    EXPECT_TRUE(report.contains("third=3")) << report;
    EXPECT_TRUE(report.contains("fourth=0")) << report;
    for (const auto& project : plane.api("/api/projects").as_array()) EXPECT_NE(project.at("name").as_string(), "evil");
}

TEST_P(Isolation, TheGatewayRefusesOtherHostsAndSaysWhy) {
    // A real target on loopback that is listed literally is reached; everything else is refused with a reason.
    boost::asio::io_context io;
    boost::asio::ip::tcp::acceptor listener(io, {boost::asio::ip::address_v4::loopback(), 0});
    const auto allowed = "127.0.0.1:" + std::to_string(listener.local_endpoint().port());
    ControlPlane plane({.runtime = runtime(), .environment = {{"EGRESS_ALLOW", "*.example.org:443," + allowed}}});
    std::string script;
    for (const auto& target :
         {std::string("example.com:443"), std::string("127.0.0.1:1"), std::string("169.254.169.254:80"), allowed})
        script += "exec 3<>/dev/tcp/127.0.0.1/${HTTPS_PROXY##*:}; printf 'CONNECT " + target +
                  " HTTP/1.1\\r\\nHost: " + target +
                  "\\r\\n\\r\\n' >&3; head -c 12 <&3; echo; timeout 1 cat <&3; echo; exec 3<&-\n";
    const auto report = inside(plane, script);
    const auto count = [&](const std::string& what) {
        int n = 0;
        for (std::size_t at = 0; (at = report.find(what, at)) != std::string::npos; at += what.size()) ++n;
        return n;
    };
    EXPECT_EQ(count("HTTP/1.1 403"), 3) << report;
    EXPECT_EQ(count("HTTP/1.1 200"), 1) << report;
    EXPECT_TRUE(report.contains("example.com")) << "the refusal names the host: " << report;
    EXPECT_TRUE(report.contains("EGRESS_ALLOW")) << "the refusal names the way out: " << report;
}

CODEGEN_ON_EACH_RUNTIME(Isolation);

}  // namespace
}  // namespace codegen::testing
