// The key of the database's secrets: found, missing, wrong, and changed - while others write, and across a crash.
#include <future>

#include "services/api/api_fixture.hpp"
#include "services/api/secret_key.hpp"
#include "shared/async/scope.hpp"

namespace codegen::api {
namespace {

using secrets::SecretBox;
using ::testing::HasSubstr;
using ::testing::Not;

class SecretKeyTest : public ApiFixture {
  protected:
    std::filesystem::path own_file() const { return directory_ / "secrets.key"; }
    SecretKeySource source() const {
        return {.key = options_.secrets_key, .file = options_.secrets_key_file, .own_file = own_file()};
    }
    Result<void> started() {
        Service service(*database_, options_);
        return testing::run(io_, service.bootstrap());
    }
    Result<Rotation> rotate(std::filesystem::path next = {}) {
        return testing::run(io_, rotate_secrets(database_.get(), source(), std::move(next), now_));
    }
    unsigned store(const std::string& service, const std::string& value) {
        return admin("POST", "/api/api-keys",
                     boost::json::serialize(
                         boost::json::object{{"service", service}, {"value", value}, {"type", "system"}}))
            .status;
    }
    std::string value_of(const std::string& service) {
        const auto answer = send("GET", "/api/api-keys/" + service, control_);
        return answer.status == 200 ? text(boost::json::parse(answer.body), "value") : std::to_string(answer.status);
    }
    std::string key_of_database() {
        return testing::run(io_, database_->query("SELECT id FROM secret_keys")).value().rows.at(0).text("id");
    }
};

TEST_F(SecretKeyTest, WithoutTheRightKeyNothingStarts) {
    ASSERT_EQ(store("github", "plain-secret"), 201u);
    const auto right = read("secrets.key");
    const auto id = key_of_database();
    EXPECT_EQ(std::filesystem::status(own_file()).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);

    const auto refused = [&](const std::string& why) {
        const auto outcome = started();
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().category, ErrorCategory::fatal);
        EXPECT_THAT(outcome.error().message, HasSubstr(why));
        EXPECT_THAT(outcome.error().message, Not(HasSubstr("\n")));
        EXPECT_THAT(outcome.error().message, Not(HasSubstr(right)));
    };
    options_.secrets_key = SecretBox::new_key();
    refused("encrypted with key " + id + ", but SECRETS_KEY holds key ");
    options_.secrets_key = "too short";
    refused("SECRETS_KEY holds no key: expected 64 hex digits");
    options_.secrets_key.clear();
    options_.secrets_key_file = directory_ / "missing";
    refused("SECRETS_KEY_FILE");
    options_.secrets_key_file.clear();
    std::filesystem::rename(own_file(), directory_ / "elsewhere");
    refused("secrets.key is not there");
    EXPECT_FALSE(std::filesystem::exists(own_file()));  // none is made over what is there

    options_.secrets_key_file = directory_ / "elsewhere";
    EXPECT_TRUE(started());
    options_.secrets_key_file.clear();
    options_.secrets_key = right;
    EXPECT_TRUE(started());
    EXPECT_EQ(value_of("github"), "plain-secret");
}

// As several processes with one state directory do at their first start.
TEST_F(SecretKeyTest, WhoStartsAtOnceSharesOneKey) {
    asio::io_context io;
    const testing::TestStore fresh(io);
    const testing::TempDirectory state;
    const auto start_one = [&]() -> std::string {
        asio::io_context own;
        auto database = fresh.is_postgres() ? storage::open_postgres(own.get_executor(), fresh.url())
                                            : storage::open_sqlite(fresh.url());
        if (!database) return database.error().message;
        Options options;
        options.state_directory = state.path();
        Service service(**database, options);
        const auto outcome = testing::run(own, service.bootstrap());
        return outcome ? "" : outcome.error().message;
    };
    std::vector<std::future<std::string>> starts;
    for (int i = 0; i < 8; ++i) starts.push_back(std::async(std::launch::async, start_one));
    for (auto& start : starts) EXPECT_EQ(start.get(), "");
    EXPECT_EQ(start_one(), "");
}

TEST_F(SecretKeyTest, AnIdempotencyKeyOfBeforeARotationSaysSo) {
    const auto repeated = [&] {
        return send("POST", "/api/projects", admin_, R"({"name":"once"})", {{"Idempotency-Key", "of-before"}});
    };
    ASSERT_EQ(repeated().status, 201u);
    ASSERT_TRUE(rotate());
    restart();
    const auto answer = repeated();
    EXPECT_EQ(answer.status, 409u);
    EXPECT_THAT(answer.body, HasSubstr("before the key for secrets was changed"));
}

TEST_F(SecretKeyTest, RotationEncryptsEverythingAnew) {
    ::testing::internal::CaptureStderr();
    ASSERT_EQ(store("github", "secret-one"), 201u);
    ASSERT_EQ(store("gitlab", "secret-two"), 201u);
    must(201, admin("POST", "/api/servers",
                    R"({"handle": "vps-1", "host": "h", "public_ip": "203.0.113.1", "ssh_key_enc": "secret-three"})"));
    const auto before = read("secrets.key");
    const auto old_id = key_of_database();
    const auto rotated = rotate();
    ASSERT_TRUE(rotated) << rotated.error().message;
    EXPECT_EQ(rotated->secrets, 3);
    EXPECT_NE(read("secrets.key"), before);
    EXPECT_EQ(key_of_database(), rotated->key_id);
    EXPECT_FALSE(std::filesystem::exists(source().next_file()));
    for (const auto* sql : {"SELECT key_enc AS sealed FROM api_keys", "SELECT ssh_key_enc AS sealed FROM servers"})
        for (const auto& row : testing::run(io_, database_->query(sql)).value().rows)
            EXPECT_EQ(secrets::key_id_of(row.text("sealed")), rotated->key_id);
    // The api that still runs with the old key neither reads nor writes a secret.
    EXPECT_EQ(value_of("github"), "503");
    EXPECT_EQ(store("github", "lost"), 503u);
    EXPECT_EQ(store("new", "lost"), 503u);
    restart();
    EXPECT_EQ(value_of("github"), "secret-one");
    EXPECT_EQ(value_of("gitlab"), "secret-two");
    EXPECT_EQ(value_of("new"), "404");
    const auto logged = ::testing::internal::GetCapturedStderr();
    EXPECT_THAT(logged, Not(HasSubstr("secret-")));
    EXPECT_THAT(logged, Not(HasSubstr(read("secrets.key"))));
    options_.secrets_key = before;
    const auto old = started();
    ASSERT_FALSE(old);
    EXPECT_THAT(old.error().message, HasSubstr("SECRETS_KEY holds key " + old_id));
}

TEST_F(SecretKeyTest, ACrashInARotationIsFinishedAtTheNextStartOrTry) {
    ASSERT_EQ(store("github", "kept"), 201u);
    const auto old_key = read("secrets.key");
    // Before the database changed: the new key lies there unused.
    const auto next = SecretBox::new_key();
    ASSERT_TRUE(posix::write_file_atomically(source().next_file(), next, 0600));
    restart();
    EXPECT_EQ(value_of("github"), "kept");
    EXPECT_EQ(read("secrets.key"), old_key);
    // It is the one that the next try takes.
    const auto rotated = rotate();
    ASSERT_TRUE(rotated) << rotated.error().message;
    EXPECT_EQ(read("secrets.key"), next);
    // After the database changed, before the file took its place.
    std::filesystem::rename(own_file(), source().next_file());
    ASSERT_TRUE(posix::write_file_atomically(own_file(), old_key, 0600));
    const auto again = rotate();
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->secrets, 0);
    EXPECT_EQ(read("secrets.key"), next);
    std::filesystem::rename(own_file(), source().next_file());
    ASSERT_TRUE(posix::write_file_atomically(own_file(), old_key, 0600));
    restart();
    EXPECT_EQ(read("secrets.key"), next);
    EXPECT_EQ(value_of("github"), "kept");
}

TEST_F(SecretKeyTest, AKeyOfTheOperatorIsReplacedByTheFileThatIsNamed) {
    ASSERT_EQ(store("github", "kept"), 201u);
    options_.secrets_key = read("secrets.key");
    const auto unnamed = rotate();
    ASSERT_FALSE(unnamed);
    EXPECT_THAT(unnamed.error().message, HasSubstr("--new-key-file"));
    const auto file = directory_ / "new.key";
    const auto rotated = rotate(file);
    ASSERT_TRUE(rotated) << rotated.error().message;
    EXPECT_EQ(SecretBox::from_text(read("new.key"), "test")->key_id(), rotated->key_id);
    EXPECT_EQ(rotate(file)->secrets, 0);  // done already
    options_.secrets_key = SecretBox::new_key();
    const auto wrong = rotate(directory_ / "third.key");
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().message, HasSubstr("encrypted with key " + rotated->key_id));
    options_.secrets_key.clear();
    options_.secrets_key_file = file;
    restart();
    EXPECT_EQ(value_of("github"), "kept");
}

TEST_F(SecretKeyTest, WritersMeanwhileLoseNothing) {
    for (int i = 0; i < 20; ++i) ASSERT_EQ(store("key-" + std::to_string(i), "v"), 201u);
    std::vector<std::string> taken;
    async::Scope scope(io_.get_executor());
    bool done = false;
    scope.spawn("writer",
                [](http::Client* client, std::string token, bool* stop, std::vector<std::string>* out) -> Task<void> {
                    for (int i = 0; !*stop && i < 2000; ++i) {
                        http::Request request{.method = "POST", .target = "/api/api-keys", .headers = {}, .body = {}};
                        request.headers.set("Authorization", "Bearer " + token);
                        const auto service = "meanwhile-" + std::to_string(i);
                        request.body = R"({"service": ")" + service + R"(", "value": "v", "type": "system"})";
                        auto answer = co_await client->send(std::move(request));
                        if (answer && answer->status == 201) out->push_back(service);
                        if (answer && answer->status == 503) break;
                    }
                }(unix_.get(), admin_, &done, &taken));
    auto other = store_.open();
    const auto rotated = testing::run(io_, rotate_secrets(other.get(), source(), {}, now_));
    done = true;
    testing::run(io_, scope.drain());
    ASSERT_TRUE(rotated) << rotated.error().message;
    restart();
    for (const auto& service : taken) EXPECT_EQ(value_of(service), "v") << service;
    for (int i = 0; i < 20; ++i) EXPECT_EQ(value_of("key-" + std::to_string(i)), "v");
}

}  // namespace
}  // namespace codegen::api
