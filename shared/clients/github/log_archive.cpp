#include "shared/clients/github/log_archive.hpp"

#include <fmt/format.h>
#include <zip.h>

#include <array>
#include <memory>

namespace codegen::clients::github {
namespace {

std::unexpected<Error> bad(std::string message) {
    return fail(ErrorCategory::permanent, "invalid", "archive of logs: " + std::move(message));
}

std::unexpected<Error> too_large(std::string message) {
    return fail(ErrorCategory::permanent, "too_large", "archive of logs: " + std::move(message));
}

bool is_safe(std::string_view name) {
    if (name.empty() || name.size() > 1000 || name.starts_with('/')) return false;
    for (const char c : name)
        if (static_cast<unsigned char>(c) < 0x20 || c == '\x7f' || c == '\\') return false;
    for (auto rest = name;; rest.remove_prefix(rest.find('/') + 1)) {
        const auto segment = rest.substr(0, rest.find('/'));
        const bool last = !rest.contains('/');
        if (segment == "." || segment == ".." || (segment.empty() && !last)) return false;
        if (last) return true;
    }
}

struct Discard {
    void operator()(zip_t* archive) const { ::zip_discard(archive); }
    void operator()(zip_file_t* file) const { ::zip_fclose(file); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
using Entry = std::unique_ptr<zip_file_t, Discard>;

Result<Archive> open_archive(std::string_view bytes) {
    if (bytes.empty()) return bad("it has no bytes");  // to libzip an archive without files
    zip_error_t error;
    ::zip_error_init(&error);
    zip_source_t* source = ::zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    zip_t* archive = source ? ::zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : nullptr;
    const std::string why = archive ? "" : ::zip_error_strerror(&error);
    if (!archive && source) ::zip_source_free(source);
    ::zip_error_fini(&error);
    if (!archive) return bad(why);
    return Archive(archive);
}

Result<std::string> read_entry(zip_t* archive, zip_uint64_t index, std::string_view name, std::size_t limit,
                               std::size_t left) {
    const Entry entry(::zip_fopen_index(archive, index, 0));
    if (!entry) return bad(fmt::format("{}: {}", name, ::zip_strerror(archive)));
    std::string text;
    std::array<char, 64u << 10> piece;
    for (;;) {
        const auto n = ::zip_fread(entry.get(), piece.data(), piece.size());
        if (n < 0) return bad(fmt::format("{}: {}", name, ::zip_file_strerror(entry.get())));
        if (n == 0) return text;
        text.append(piece.data(), static_cast<std::size_t>(n));
        if (text.size() > limit) return too_large(fmt::format("{} unpacks to more than {} bytes", name, limit));
        if (text.size() > left) return too_large("its files unpack to more than the limit of all together");
    }
}

}  // namespace

Result<std::vector<LogFile>> unpack_logs(std::string_view archive, const LogLimits& limits) {
    auto opened = open_archive(archive);
    if (!opened) return std::unexpected(opened.error());
    const auto count = ::zip_get_num_entries(opened->get(), 0);
    if (count > static_cast<zip_int64_t>(limits.files))
        return too_large(fmt::format("{} files, the limit is {}", count, limits.files));
    std::vector<LogFile> out;
    std::size_t left = limits.total_bytes;
    for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
        const char* name = ::zip_get_name(opened->get(), i, ZIP_FL_ENC_GUESS);
        if (!name || !is_safe(name)) return bad(fmt::format("file {} has a name that cannot be used", i));
        const std::string_view path(name);
        if (path.ends_with('/')) continue;
        auto text = read_entry(opened->get(), i, path, limits.file_bytes, left);
        if (!text) return std::unexpected(text.error());
        left -= text->size();
        out.push_back({std::string(path), std::move(*text)});
    }
    return out;
}

}  // namespace codegen::clients::github
