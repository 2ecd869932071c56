#include "services/worker-manager/repository/paths.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>
#include <vector>

namespace codegen::worker_manager {
namespace {

struct Tree {
    std::vector<std::string_view> folders;  // ids as bytes
    std::uint64_t entries = 0;
    std::optional<std::uint64_t> paths;
};
using Trees = std::unordered_map<std::string, Tree>;

std::unexpected<Error> unreadable() {
    return fail(ErrorCategory::permanent, "commit_rejected", "the folders of the commit cannot be read");
}

std::string bytes_of(std::string_view hex) {
    std::string bytes(hex.size() / 2, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        unsigned char value = 0;
        std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, value, 16);
        bytes[i] = static_cast<char>(value);
    }
    return bytes;
}

bool read_tree(std::string_view content, std::size_t id_size, Tree& tree) {
    while (!content.empty()) {
        const auto end = content.find('\0');
        if (end == content.npos || content.size() - end - 1 < id_size) return false;
        if (content.starts_with("40000 ")) tree.folders.push_back(content.substr(end + 1, id_size));
        ++tree.entries;
        content.remove_prefix(end + 1 + id_size);
    }
    return true;
}

bool read_batch(std::string_view batch, std::size_t id_size, Trees& trees) {
    while (!batch.empty()) {
        const auto line = batch.substr(0, batch.find('\n'));
        const auto middle = line.find(" tree ");
        std::size_t size = 0;
        if (middle != 2 * id_size ||
            std::from_chars(line.data() + middle + 6, line.data() + line.size(), size).ec != std::errc{})
            return false;
        if (batch.size() - line.size() < 2 || batch.size() - line.size() - 2 < size) return false;
        if (!read_tree(batch.substr(line.size() + 1, size), id_size, trees[bytes_of(line.substr(0, middle))]))
            return false;
        batch.remove_prefix(line.size() + size + 2);
    }
    return true;
}

// Not recursive: the depth is the worker's choice. Its ids are hashes, so there is no cycle.
std::optional<std::uint64_t> count(Trees& trees, const std::string& root) {
    std::vector<std::string> open{root};
    while (!open.empty()) {
        const auto found = trees.find(open.back());
        if (found == trees.end()) return std::nullopt;
        auto& tree = found->second;
        const auto before = open.size();
        auto paths = tree.entries;
        if (!tree.paths) {
            for (const auto id : tree.folders) {
                const auto folder = trees.find(std::string(id));
                if (folder == trees.end()) return std::nullopt;
                if (!folder->second.paths) {
                    open.emplace_back(id);
                    break;
                }
                paths = std::min(kCountlessPaths, paths + *folder->second.paths);
            }
        }
        if (open.size() > before) continue;
        if (!tree.paths) tree.paths = paths;
        open.pop_back();
    }
    return trees.at(root).paths;
}

}  // namespace

Result<std::pair<std::uint64_t, std::uint64_t>> count_paths(std::string_view batch, const std::string& first,
                                                            const std::string& second) {
    Trees trees;
    if (!read_batch(batch, first.size() / 2, trees)) return unreadable();
    const auto one = count(trees, bytes_of(first));
    const auto two = count(trees, bytes_of(second));
    if (!one || !two) return unreadable();
    return std::pair{*one, *two};
}

}  // namespace codegen::worker_manager
