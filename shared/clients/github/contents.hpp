// Files of a repository, as GitHub's API has them. No I/O.
// https://docs.github.com/en/rest/repos/contents
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/result.hpp"

namespace codegen::clients::github {

struct FileEntry {
    std::string type;  // file, dir, symlink, submodule
    std::string name;
    std::string path;
    std::string sha;
    std::int64_t size = 0;
};
BOOST_DESCRIBE_STRUCT(FileEntry, (), (type, name, path, sha, size))

// A file, or a blob: base64 in lines; beyond 1 MB `encoding` is "none" and the blob has to be asked for.
struct EncodedFile {
    std::string sha;
    std::string content;
    std::string encoding;
    std::string type;

    static constexpr std::array<std::string_view, 3> defaulted{"content", "encoding", "type"};
};
BOOST_DESCRIBE_STRUCT(EncodedFile, (), (sha, content, encoding, type))

struct CommitName {
    std::string sha;
};
BOOST_DESCRIBE_STRUCT(CommitName, (), (sha))
struct FileCommit {
    CommitName commit;
};
BOOST_DESCRIBE_STRUCT(FileCommit, (), (commit))

struct File {
    std::string path;
    std::string sha;  // of the blob
    std::string content;
};

// "src/a%20b.txt" of "src/a b.txt". Error "invalid": empty, absolute, with an empty, "." or ".." segment or a NUL.
Result<std::string> encoded_path(std::string_view path);

}  // namespace codegen::clients::github
