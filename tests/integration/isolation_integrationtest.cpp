// Acceptance F: what a worker can reach and see, tried from inside, as the agent and as uid 0.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <fstream>
#include <sstream>

#include "apps/orchestratord/configuration.hpp"
#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/temp_postgres.hpp"
#include "tests/harness/control_plane.hpp"
#include "tests/harness/runtimes.hpp"

namespace codegen::testing {
namespace {

// A container on Docker's default bridge, where every other container of this host would be: it listens on `port`.
class Neighbour {
  public:
    Neighbour(ControlPlane& plane, const std::string& port) : plane_(plane) {
        // Its root is links and mount points; the programs are this machine's, read-only.
        const auto root = std::filesystem::temp_directory_path() / name_;
        std::filesystem::create_directories(root / "usr");
        for (const char* link : {"bin", "lib", "lib64"})
            std::filesystem::create_symlink(std::string("usr/") + link, root / link);
        const auto imported =
            plane.run({"bash", "-c", "tar -C " + root.string() + " -c . | docker import - " + name_ + ":latest"});
        EXPECT_EQ(imported.exit_code, 0) << imported.errors;
        std::filesystem::remove_all(root);
        const auto started = plane.run({"docker", "run", "-d", "--network", "bridge", "--name", name_, "-v",
                                        "/usr:/usr:ro", name_, "/usr/bin/perl", "-MIO::Socket::INET", "-e",
                                        "$s = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 9) or die $!; "
                                        "while (1) { $c = $s->accept and close $c }",
                                        port});
        EXPECT_EQ(started.exit_code, 0) << started.errors;
        address_ =
            plane.run({"docker", "inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", name_}).output;
        address_.erase(address_.find_last_not_of('\n') + 1);
        EXPECT_FALSE(address_.empty());
    }
    Neighbour(const Neighbour&) = delete;
    ~Neighbour() {
        plane_.run({"docker", "rm", "-f", name_});
        plane_.run({"docker", "image", "rm", "-f", name_});
    }
    const std::string& address() const { return address_; }

  private:
    ControlPlane& plane_;
    const std::string name_ = "codegen-neighbour-" + random_token(4);
    std::string address_;
};

std::string private_key() {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_RSA_gen(2048), &EVP_PKEY_free);
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
    EXPECT_EQ(PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
    char* text = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

// What the control plane knows and no worker may. Nothing is listed by hand that a later secret could be missing from:
// each setting of the kind secret is planted or named with the file that holds it, and each file that only its owner
// may read is looked into.
class Secrets {
  public:
    Secrets() {
        for (const auto& setting : orchestratord::settings())
            if (setting.kind == orchestratord::Setting::Kind::secret && !kInFiles.contains(setting.name))
                plant(std::string(setting.name));
    }
    const std::map<std::string, std::string>& environment() const { return environment_; }
    // With what the state directory has.
    std::vector<std::string> all(const ControlPlane& plane) const {
        auto secrets = planted_;
        for (const auto& [setting, file] : kInFiles)
            EXPECT_FALSE(words_of(plane.state() / file).empty()) << setting << " is in no file " << file;
        std::error_code error;
        for (auto it = std::filesystem::recursive_directory_iterator(plane.state(), error); it != end(it);
             it.increment(error)) {
            const auto mode = it->symlink_status(error).permissions();
            const bool ours = (mode & std::filesystem::perms(0077)) == std::filesystem::perms::none;
            if (it->is_directory(error) && it->path().filename() == "workers") it.disable_recursion_pending();
            if (it->symlink_status(error).type() != std::filesystem::file_type::regular || !ours) continue;
            const auto words = words_of(it->path());
            const bool beside = it->path().parent_path() == plane.state() && it->file_size(error) > 0;
            const auto kind = it->path().extension().string();
            if (beside && !kind.starts_with(".db") && kind != ".log")
                EXPECT_FALSE(words.empty()) << it->path() << " is kept from others; what secret is in it?";
            secrets.insert(secrets.end(), words.begin(), words.end());
        }
        std::ranges::sort(secrets);
        const auto repeated = std::ranges::unique(secrets);
        secrets.erase(repeated.begin(), repeated.end());
        EXPECT_GE(secrets.size(), planted_.size() + kInFiles.size());
        return secrets;
    }

  private:
    // Their values come from these when they are not set, and `dev` is to make them.
    static inline const std::map<std::string_view, std::string_view> kInFiles{{"SECRETS_KEY", "secrets.key"},
                                                                              {"SERVICE_TOKEN", "service.token"},
                                                                              {"INFRA_TOKEN", "infra.token"},
                                                                              {"REDIS_URL", "redis.url"}};
    void plant(const std::string& name) {
        auto canary = "canary" + random_token(12);
        if (name == "GITHUB_APP_PRIVATE_KEY") {
            const auto key = private_key();
            environment_.insert({{name, key}, {"GITHUB_APP_ID", "1"}, {"GITHUB_ORG", "acme"}});
            environment_["GITHUB_API_URL"] = "http://127.0.0.1:1";
            const auto second = key.find('\n', key.find('\n') + 1) + 1;
            canary = key.substr(second, key.find('\n', second) - second);
        } else if (name == "DATABASE_URL") {
            postgres_ = std::make_unique<TempPostgres>(io_);
            environment_[name] = postgres_->url() + "&password=" + canary;
        } else {
            environment_[name] = canary;
        }
        planted_.push_back(std::move(canary));
    }
    // Of a text file, what is long enough to be a secret and no path; of an address, its password.
    static std::vector<std::string> words_of(const std::filesystem::path& file) {
        const auto text = posix::read_file(file, 64u << 10);
        std::vector<std::string> out;
        if (!text || text->contains('\0')) return out;
        std::istringstream words(*text);
        for (std::string word; words >> word;) {
            const auto address = redis::parse_address(word);
            if (word.starts_with('>')) word.erase(0, 1);  // a password in an ACL file
            const bool plain = std::ranges::all_of(word, [](unsigned char c) { return std::isalnum(c) != 0; });
            if (address && !address->password.empty())
                out.push_back(address->password);
            else if (word.size() >= 32 && plain)
                out.push_back(word);
        }
        return out;
    }

    boost::asio::io_context io_;
    std::unique_ptr<TempPostgres> postgres_;
    std::map<std::string, std::string> environment_{{"TIME4VPS_USER", "me"}};
    std::vector<std::string> planted_;
};

std::string sha256_hex(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
    std::string hex;
    for (unsigned int i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

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
    // Runs `script` as uid 0 in the same place. A person with the engine can; in the sandbox nobody inside can.
    std::string inside_as_root(ControlPlane& plane, const std::string& script) {
        const auto project = plane.create_project("p");
        const auto task = plane.start_task(project, kWaitForGo + kCommitAndReport);
        const auto worker = plane.wait_for_worker(task);
        auto done = plane.run({"docker", "exec", "-u", "0", plane.body_id(worker), "bash", "-c", script});
        std::ofstream(plane.worker_directory(worker) / "workspace" / "go").close();
        plane.wait_for_end(task);
        return done.output + done.errors;
    }
    static std::string reversed(std::string text) {
        std::ranges::reverse(text);
        return text;
    }
    // Looks everywhere that can be read; prints found=0 or found=1. The secrets are reversed in the script: its own
    // text must not be what the search finds.
    static std::string search_for(const std::vector<std::string>& secrets) {
        std::string script = "found=0; set --\n";
        for (const auto& secret : secrets) {
            EXPECT_GE(secret.size(), 16u);
            script += "s=$(printf %s " + reversed(secret) + " | rev 2>/dev/null || printf %s " + reversed(secret) +
                      " | perl -ne 'print scalar reverse'); set -- \"$@\" -e \"$s\"\n";
        }
        return script +
               // Its exit status is an error's as soon as one file cannot be read, whatever it has found.
               "hits=$(grep -rlsF --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr \"$@\" /); "
               "[ -z \"$hits\" ] || { echo \"$hits\"; found=1; }\n"
               "for p in /proc/[0-9]*; do for f in environ cmdline maps; do tr '\\0' '\\n' < $p/$f 2>/dev/null | "
               "grep -qF \"$@\" && { echo $p/$f; found=1; }; done; done\n"
               "echo found=$found\n";
    }
    // Everything that can be read and could be a token of ours, a line each: hex=...
    static std::string list_hex() {
        return "{ grep -roahsE --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr '[0-9a-f]{64}' /; "
               "for p in /proc/[0-9]*; do for f in environ cmdline; do tr '\\0' '\\n' < $p/$f 2>/dev/null | "
               "grep -oE '[0-9a-f]{64}'; done; done; } 2>/dev/null | sort -u | sed s/^/hex=/\n";
    }
    // Where something listens on `port`: every address and both names of the host, and the neighbour. That it does is
    // tried from the host: from a worker, only the missing network can be why it is not reached.
    static std::vector<std::string> listening(ControlPlane& plane, const Neighbour& neighbour,
                                              const std::string& port) {
        std::vector<std::string> targets{"127.0.0.1", "localhost", neighbour.address()};
        std::istringstream words(plane.run({"hostname"}).output + plane.run({"hostname", "-I"}).output);
        for (std::string word; words >> word;)
            if (!word.contains(':')) targets.push_back(word);
        EXPECT_GE(targets.size(), 4u) << "the host has a name";
        for (const auto& target : targets)
            eventually(target + " is reached from the host", [&] {
                return plane.run({"bash", "-c", connect_to(target, port)}).output == "REACHED " + target + "\n";
            });
        return targets;
    }
    static std::string connect_to(const std::string& target, const std::string& port) {
        return "(exec 3<>/dev/tcp/" + target + "/" + port + ") && echo REACHED " + target + "\n";
    }
    // Tries to connect: "REACHED" for what answers.
    static std::string reach_out(ControlPlane& plane, const std::vector<std::string>& targets,
                                 const std::string& port) {
        std::string script;
        for (const auto& target : targets) script += connect_to(target, port);
        script += connect_to("deb.debian.org", "80");
        return script +
               R"(perl -MIO::Socket::UNIX -e 'for (@ARGV) { print IO::Socket::UNIX->new(Peer => $_) ? "REACHED $_\n" : "refused $_: $!\n" }' \
        /var/run/docker.sock /run/docker.sock )" +
               (plane.state() / "api.sock").string() + " " + (plane.state() / "manager.sock").string() + " " +
               (plane.state() / "redis" / "redis.sock").string() + "\necho done\n";
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
    const Secrets planted;
    ControlPlane plane({.runtime = runtime(), .environment = planted.environment()});
    const auto secrets = planted.all(plane);
    const auto control = "control" + random_token(12);
    const auto script = "printf %s " + reversed(control) + " | perl -ne 'print scalar reverse' > planted\n" +
                        search_for({control, secrets.front()}) + "rm planted; echo planted=$found\n" +
                        search_for(secrets) +
                        "cat /run/codegen/wrapper/redis.sock 2>&1; ls /var/lib/codegen-worker 2>&1";
    const auto report = inside(plane, script);
    EXPECT_TRUE(report.contains("planted=1")) << "the search does not find what is there: " << report;
    EXPECT_TRUE(report.contains("\nfound=0")) << report;
    for (const auto& secret : secrets) EXPECT_FALSE(plane.log().contains(secret)) << "a secret is in the log";
}

// The worker's own token for the API and its password for Redis are in the manager's memory alone: nobody can say what
// to search for, but whatever is found can be tried.
TEST_P(Isolation, NothingThatIsFoundOpensTheApiOrRedis) {
    ControlPlane plane({.runtime = runtime()});
    const auto project = plane.create_project("p");
    const auto control = random_token();
    const auto task = plane.start_task(
        project, "printf %s " + reversed(control) + " | perl -ne 'print scalar reverse' > planted; { " + list_hex() +
                     "} > report 2>&1; rm -f planted; touch searched; " + kWaitForGo + kCommitAndReport);
    const auto worker = plane.wait_for_worker(task);
    const auto workspace = plane.worker_directory(worker) / "workspace";
    // While both are good.
    ASSERT_TRUE(eventually(
        "the search has ended", [&] { return std::filesystem::exists(workspace / "searched"); },
        std::chrono::seconds(60)));
    std::istringstream report(posix::read_file(workspace / "report", 16u << 20).value_or(""));
    std::string users;
    for (const auto& user : plane.redis({"ACL", "LIST"}).elements) users += user.text + "\n";
    EXPECT_TRUE(users.contains("worker-" + worker)) << users;
    bool works = false;
    int tried = 0;
    for (std::string line; std::getline(report, line);) {
        ASSERT_TRUE(line.starts_with("hex=")) << line;
        const auto found = line.substr(4);
        works = works || found == control;
        EXPECT_FALSE(users.contains(sha256_hex(found))) << "a password of Redis";
        ASSERT_LT(++tried, 2000);
        const auto status = plane.run({"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket",
                                       (plane.state() / "api.sock").string(), "-H", "Authorization: Bearer " + found,
                                       "http://api/api/projects"});
        EXPECT_EQ(status.output, "401") << "a token of the API";
    }
    EXPECT_TRUE(works) << "the search does not find what is there";
    std::ofstream(workspace / "go").close();
    EXPECT_EQ(plane.wait_for_end(task).at("status").as_string(), "completed");
}

TEST_P(Isolation, NothingBeyondTheGatewayCanBeReached) {
    // A listener on every address of the host, and a neighbour: from inside none of them is there.
    boost::asio::io_context io;
    boost::asio::ip::tcp::acceptor listener(io, {boost::asio::ip::tcp::v4(), 0});
    const auto port = std::to_string(listener.local_endpoint().port());
    ControlPlane plane({.runtime = runtime()});
    const Neighbour neighbour(plane, port);
    const auto script =
        R"(perl -MIO::Socket::UNIX -e 'print IO::Socket::UNIX->new(Peer => $_) ? "REACHED $_\n" : "refused $_: $!\n" for @ARGV' \
        /run/codegen/wrapper/redis.sock /run/codegen/wrapper/control.sock
)" + reach_out(plane, listening(plane, neighbour, port), port);
    const auto report = inside(plane, script);
    EXPECT_TRUE(report.contains("done")) << report;
    EXPECT_FALSE(report.contains("REACHED")) << report;
    EXPECT_TRUE(report.contains("refused /run/codegen/wrapper/redis.sock")) << report;
    EXPECT_TRUE(report.contains("refused /run/codegen/wrapper/control.sock")) << report;
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

// The same of what one request permits, in a worker that may do anything.
TEST_P(Isolation, DeniedByARequestStaysDeniedAfterEditingTheEnvironment) {
    ControlPlane plane({.runtime = runtime()});
    const auto project = plane.create_project("p");
    const auto task = boost::json::serialize(
        boost::json::object{{"id", new_uuid()}, {"project_id", project}, {"type", "engineering"}, {"spec", "x"}});
    const auto made = plane.api("/api/tasks", "POST", task).as_object();
    const std::string task_id(made.at("id").as_string());
    const std::string worker = "w-" + random_token(4);
    boost::json::object config{
        {"name", worker},     {"worker_type", "developer"}, {"agent_type", "custom"},
        {"instructions", ""}, {"allowed_commands", {"*"}},  {"capabilities", boost::json::array{}},
        {"pool", false}};
    config["command"] = {
        "bash", "-c",
        "{ ALLOWED_COMMANDS='*' orchestrator --json project create --name evil; echo created=$?; "
        "ALLOWED_COMMANDS='*' orchestrator --json result --status success --summary evil; echo said=$?; "
        "ALLOWED_COMMANDS='*' orchestrator --json project get " +
            project + "; echo read=$?; } > report 2>&1; touch done"};
    plane.redis({"XADD", "worker:commands", "*", "data",
                 boost::json::serialize(boost::json::object{{"command", "create"},
                                                            {"request_id", new_uuid()},
                                                            {"config", std::move(config)},
                                                            {"context", {{"user_id", "1"}}}})});
    plane.redis({"XADD", "worker:" + worker + ":input", "*", "data",
                 boost::json::serialize(boost::json::object{{"request_id", new_uuid()},
                                                            {"task_id", task_id},
                                                            {"project_id", project},
                                                            {"prompt", "x"},
                                                            {"allowed_commands", {"project.get"}}})});
    const auto workspace = plane.worker_directory(worker) / "workspace";
    ASSERT_TRUE(eventually(
        "the agent has tried", [&] { return std::filesystem::exists(workspace / "done"); }, std::chrono::seconds(60)))
        << plane.log();
    const auto report = posix::read_file(workspace / "report", 64u << 10).value_or("");
    EXPECT_TRUE(report.contains("created=3")) << report;
    EXPECT_TRUE(report.contains("said=3")) << report;
    EXPECT_TRUE(report.contains("read=0")) << report;
    for (const auto& known : plane.api("/api/projects").as_array()) EXPECT_NE(known.at("name").as_string(), "evil");
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

// Sends commands to redis.sock as the wrapper would, and prints the first line of each answer.
const std::string kSpeakRedis = R"(perl -MIO::Socket::UNIX -e '
$s = IO::Socket::UNIX->new(Peer => "/run/codegen/wrapper/redis.sock") or die "no redis: $!\n";
for my $command (@ARGV) {
  my @words = split / /, $command;
  print $s "*" . @words . "\r\n" . join("", map { "\$" . length($_) . "\r\n$_\r\n" } @words);
  my $line = <$s>;
  print "$command => $line";
}' )";

// Docker: what a person with the engine finds who goes in as root, or an agent that became root by a fault of the
// kernel. Sandbox: that there is no root to become.
TEST_P(Isolation, UidZeroInsideFindsNoSecretAndReachesNoFurther) {
    const Secrets planted;
    boost::asio::io_context io;
    boost::asio::ip::tcp::acceptor listener(io, {boost::asio::ip::tcp::v4(), 0});
    ControlPlane plane({.runtime = runtime(), .environment = planted.environment()});
    if (runtime() == "sandbox") {
        const auto report =
            inside(plane,
                   "awk '{print \"maps \" $1 \" \" $3}' /proc/self/uid_map; unshare -Ur id -u || echo NO_NAMESPACE; "
                   "perl -e '$> = 0; print \"euid $>\\n\"'; "
                   "grep CapPrm /proc/self/status");
        EXPECT_FALSE(report.contains("maps 0 ")) << report;
        EXPECT_TRUE(report.contains("NO_NAMESPACE")) << report;
        EXPECT_FALSE(report.contains("euid 0\n")) << report;
        EXPECT_TRUE(report.contains("CapPrm:\t0000000000000000")) << report;
        return;
    }
    const auto secrets = planted.all(plane);
    const auto port = std::to_string(listener.local_endpoint().port());
    const Neighbour neighbour(plane, port);
    const auto report = inside_as_root(
        plane,
        "exec 2>&1; id -u; grep CapEff /proc/self/status; " +
            std::string(R"(perl -e 'print open(F, "<", "/proc/1/mem") ? "MEMORY\n" : "no memory: $!\n"'; )") +
            search_for(secrets) + reach_out(plane, listening(plane, neighbour, port), port) + kSpeakRedis +
            R"('PING' 'GET worker:session:other' 'XADD worker:commands * data x' 'XRANGE engineering:queue - +' 'CONFIG GET *' 'ACL LIST' 'KEYS *'
CODEGEN_GATEWAY=/run/codegen ALLOWED_COMMANDS='*' /opt/codegen/bin/orchestrator --json project create --name evil; echo created=$?
mount -t tmpfs none /mnt && echo MOUNTED; mknod /tmp/disk b 254 0 && echo DEVICE
echo x > /opt/codegen/bin/evil && echo WRITTEN)");
    EXPECT_TRUE(report.starts_with("0\n")) << report;
    EXPECT_TRUE(report.contains("CapEff:\t00000000000000c0")) << "SETUID and SETGID alone: " << report;
    EXPECT_TRUE(report.contains("no memory")) << report;
    EXPECT_TRUE(report.contains("found=0")) << report;
    EXPECT_TRUE(report.contains("done")) << report;
    EXPECT_FALSE(report.contains("REACHED")) << report;
    // The wrapper's Redis is reached, with the worker's own rights.
    EXPECT_TRUE(report.contains("PING => +PONG")) << report;
    for (const auto* denied : {"GET worker:session:other", "XADD worker:commands * data x",
                               "XRANGE engineering:queue - +", "CONFIG GET *", "ACL LIST", "KEYS *"})
        EXPECT_TRUE(report.contains(std::string(denied) + " => -NOPERM")) << denied << ": " << report;
    EXPECT_TRUE(report.contains("created=3")) << report;
    for (const auto* never : {"MOUNTED", "DEVICE", "MEMORY", "WRITTEN"})
        EXPECT_FALSE(report.contains(never)) << never << report;
    for (const auto& project : plane.api("/api/projects").as_array()) EXPECT_NE(project.at("name").as_string(), "evil");
}

CODEGEN_ON_EACH_RUNTIME(Isolation);

}  // namespace
}  // namespace codegen::testing
