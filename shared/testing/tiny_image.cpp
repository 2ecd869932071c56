#include "shared/testing/tiny_image.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <filesystem>
#include <set>
#include <sstream>
#include <stdexcept>

#include "shared/base/ids.hpp"
#include "shared/clients/docker/docker_client.hpp"

namespace codegen::testing {
namespace fs = std::filesystem;
using clients::DockerClient;
using clients::Image;
using clients::TarEntry;

namespace {

// The dynamic loader's own answer to what a program needs.
std::set<std::string> libraries(const std::string& program) {
    std::set<std::string> files;
    FILE* pipe = ::popen(("ldd " + program).c_str(), "r");
    if (!pipe) return files;
    std::string text;
    for (std::array<char, 4096> buffer; std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe);)
        text.append(buffer.data(), n);
    ::pclose(pipe);
    std::istringstream words(text);
    for (std::string word; words >> word;)
        if (word.starts_with('/')) files.insert(word);
    return files;
}

template <class T>
T wait_for(asio::io_context& io, Task<Result<T>> task) {
    std::optional<Result<T>> result;
    asio::co_spawn(io, std::move(task), [&](std::exception_ptr, Result<T> r) { result = std::move(r); });
    io.restart();
    io.run();
    if (!result || !*result)
        throw std::runtime_error("tiny image: " + (result ? result->error().message : "no result"));
    if constexpr (!std::is_void_v<T>) return std::move(**result);
}

}  // namespace

TinyImage::TinyImage(const std::map<std::string, std::string>& scripts) : tag_("codegen-test-tiny:" + random_token(6)) {
    std::vector<TarEntry> entries;
    std::set<std::string> directories{"bin",  "lib", "lib64", "usr", "usr/bin", "tmp",  "run",
                                      "proc", "sys", "dev",   "etc", "var",     "home", "opt"};
    std::set<std::string> files;
    for (const char* name : {"sh", "sleep", "cat", "touch", "id", "ls", "tail", "wc", "env"}) {
        std::string program = std::string("/bin/") + name;
        if (!fs::exists(program)) throw std::runtime_error("tiny image: this host has no " + program);
        files.insert(program);
        files.merge(libraries(program));
    }
    for (const std::string& file : files)
        for (fs::path parent = fs::path(file).relative_path().parent_path(); !parent.empty();
             parent = parent.parent_path())
            directories.insert(parent.string());
    for (const std::string& directory : directories)
        entries.push_back(
            {.kind = TarEntry::Kind::directory, .name = directory, .mode = 0755, .content = {}, .file = {}});
    for (const std::string& file : files)
        entries.push_back({.name = file.substr(1), .mode = 0755, .content = {}, .file = fs::canonical(file)});
    for (const auto& [name, content] : scripts)
        entries.push_back({.name = name, .mode = 0755, .content = content, .file = {}});

    asio::io_context io;
    auto client = DockerClient::make(io.get_executor()).value();
    auto colon = tag_.find(':');
    wait_for(io, client.import_image(tar_source(std::move(entries)), tag_.substr(0, colon), tag_.substr(colon + 1), {},
                                     std::chrono::seconds(60)));
}

namespace {

// A failed build leaves its finished steps behind, as images without a name whose parents lead here.
Task<void> remove_with_children(DockerClient client, std::string tag) {
    auto image = co_await client.inspect_image(tag);
    auto all = co_await client.list_all_images();
    static_cast<void>(co_await client.remove_image(tag, true));
    if (!image || !all) co_return;
    std::vector<std::string> family{image->id};
    for (std::size_t i = 0; i < family.size(); ++i)
        for (const Image& child : *all)
            if (child.parent == family[i]) family.push_back(child.id);
    for (auto id = family.rbegin(); id != family.rend(); ++id)
        static_cast<void>(co_await client.remove_image(*id, true));
}

}  // namespace

TinyImage::~TinyImage() {
    asio::io_context io;
    auto client = DockerClient::make(io.get_executor()).value();
    asio::co_spawn(io, remove_with_children(std::move(client), tag_), [](std::exception_ptr) {});
    io.run();
}

}  // namespace codegen::testing
