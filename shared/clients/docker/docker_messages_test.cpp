#include "shared/clients/docker/docker_messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/clients/docker/tar.hpp"

namespace codegen::clients {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(JsonSequence, ReadsDocumentsCutAnywhere) {
    const std::string text = "{\"a\":1}\r\n{\"b\":\"x\\ny\"}{\"c\":[1,2]}\n";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        JsonSequence sequence;
        std::vector<boost::json::value> all = sequence.feed(text.substr(0, cut)).value();
        std::ranges::move(sequence.feed(text.substr(cut)).value(), std::back_inserter(all));
        ASSERT_EQ(all.size(), 3u) << cut;
        EXPECT_EQ(text_at(all[1], {"b"}), "x\ny");
    }
    EXPECT_FALSE(JsonSequence().feed("{]"));
}

TEST(Demultiplexer, GivesFramesCutAnywhere) {
    std::string text = std::string("\1\0\0\0\0\0\0\3", 8) + "out" + std::string("\2\0\0\0\0\0\0\0", 8) +
                       std::string("\2\0\0\0\0\0\0\2", 8) + "er";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        std::array<std::string, 3> got;
        Demultiplexer frames;
        auto take = [&](int stream, std::string_view data) { got.at(static_cast<std::size_t>(stream)) += data; };
        frames.feed(text.substr(0, cut), take);
        frames.feed(text.substr(cut), take);
        EXPECT_EQ(got[1], "out");
        EXPECT_EQ(got[2], "er");
    }
}

TEST(ProgressLog, NamesTheFailingStepAndItsLastLine) {
    std::vector<std::string> lines;
    ProgressLog log([&](std::string line) { lines.push_back(std::move(line)); });
    for (const char* message :
         {R"({"stream":"Step 1/2 : FROM x\n"})", R"({"stream":" ---> abc\n"})", R"({"stream":"Step 2/2 : RUN make\n"})",
          R"({"stream":"compi"})", R"({"stream":"ling\n"})", R"({"stream":"\u001b[91mno such file\n\u001b[0m"})",
          R"({"stream":"\u001b[0mRemoving intermediate container ab\n"})",
          R"({"errorDetail":{"code":2},"error":"returned a non-zero code: 2"})"})
        log.feed(boost::json::parse(message));
    auto ended = log.finish();
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code, "failed");
    EXPECT_EQ(ended.error().message, "build step 2 (make): exit 2: no such file");
    EXPECT_THAT(lines, ::testing::Contains("compiling"));
}

TEST(ProgressLog, AStepIsNamedShortly) {
    const auto failure = [](const std::string& step, const std::string& error) {
        ProgressLog log({});
        log.feed({{"stream", step + "\n"}});
        log.feed({{"error", error}});
        return log.finish().error().message;
    };
    EXPECT_EQ(failure("Step 3/9 : RUN : install packages; set -e; apt-get update",
                      "The command '/bin/sh -c : install packages; set -e' returned a non-zero code: 100"),
              "build step 3 (install packages): exit 100");
    EXPECT_EQ(failure("Step 12/12 : COPY a b", "COPY failed: no source"),
              "build step 12 (COPY a b): COPY failed: no source");
    EXPECT_EQ(failure("Step 2/2 : RUN " + std::string(100, 'x'), "returned a non-zero code: 1"),
              "build step 2 (" + std::string(60, 'x') + "...): exit 1");
}

TEST(ProgressLog, TellsTheImageOfABuildAndOfAnImport) {
    ProgressLog build({});
    build.feed(boost::json::parse(R"({"aux":{"ID":"sha256:1"}})"));
    EXPECT_EQ(build.finish().value(), "sha256:1");
    ProgressLog import({});
    import.feed(boost::json::parse(R"({"status":"sha256:2"})"));
    EXPECT_EQ(import.finish().value(), "sha256:2");
    ProgressLog pull({});
    pull.feed(boost::json::parse(R"({"error":"manifest unknown"})"));
    EXPECT_EQ(pull.finish().error().message, "manifest unknown");
}

std::string all_of(const BodySource& source) {
    std::string text;
    for (;;) {
        auto piece = source();
        if (!piece) throw std::runtime_error(piece.error().message);
        if (piece->empty()) return text;
        text += *piece;
    }
}

TEST(Tar, IsReadByTarAndTheSameForTheSameInput) {
    auto source = [] {
        return tar_source({{.kind = TarEntry::Kind::directory, .name = "d", .mode = 0755, .content = {}, .file = {}},
                           {.name = "d/a", .mode = 0640, .content = "text", .file = {}},
                           {.name = "b", .mode = 0755, .content = {}, .file = "/proc/self/exe"}});
    };
    std::string tar = all_of(source());
    EXPECT_EQ(tar.size() % 512, 0u);
    EXPECT_EQ(all_of(source()), tar);
    std::string path = "/tmp/codegen-tar-XXXXXX";
    int fd = ::mkstemp(path.data());
    ASSERT_EQ(::write(fd, tar.data(), tar.size()), static_cast<ssize_t>(tar.size()));
    ::close(fd);
    FILE* pipe = ::popen(("tar --numeric-owner -tvf " + path + " 2>&1 && tar -xOf " + path + " d/a").c_str(), "r");
    std::string listed;
    for (std::array<char, 4096> buffer; std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe);)
        listed.append(buffer.data(), n);
    EXPECT_EQ(::pclose(pipe), 0);
    ::unlink(path.c_str());
    EXPECT_THAT(listed, HasSubstr("drwxr-xr-x 0/0"));
    EXPECT_THAT(listed, HasSubstr("-rw-r----- 0/0"));
    EXPECT_THAT(listed, ::testing::EndsWith("text"));
}

TEST(Tar, SaysWhatIsWrong) {
    EXPECT_EQ(tar_source({{.name = "/abs", .content = "x", .file = {}}})().error().code, "invalid");
    EXPECT_EQ(tar_source({{.name = "a", .content = {}, .file = "/nowhere"}})().error().code, "not_found");
    EXPECT_EQ(file_source("/nowhere")().error().code, "not_found");
}

}  // namespace
}  // namespace codegen::clients
