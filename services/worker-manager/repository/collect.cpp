#include "services/worker-manager/repository/collect.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <charconv>
#include <climits>
#include <system_error>

#include "services/worker-manager/core/claim.hpp"
#include "services/worker-manager/core/names.hpp"
#include "services/worker-manager/repository/bundle.hpp"
#include "services/worker-manager/repository/paths.hpp"
#include "services/worker-manager/repository/tree.hpp"
#include "shared/base/ids.hpp"
#include "shared/git/git.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIncoming = "refs/heads/incoming";

std::unexpected<Error> rejected(std::string message) {
    return fail(ErrorCategory::permanent, "commit_rejected", std::move(message));
}

// The host's trouble, not the worker's bytes: git could not be run, or the disk did not take or give.
bool is_ours(const process::Outcome& outcome) {
    if (outcome.end != process::Outcome::End::exited) return false;
    if (outcome.code == 126 || outcome.code == 127) return true;
    const auto text = outcome.describe();
    return std::ranges::any_of(std::array{ENOSPC, EDQUOT, EIO, EROFS, EACCES, EMFILE, ENFILE},
                               [&](int number) { return text.ends_with(std::generic_category().message(number)); });
}

std::unexpected<Error> failed(std::string_view step, const process::Outcome& outcome) {
    auto message = fmt::format("{}: {}", step, outcome.describe());
    if (is_ours(outcome)) return fail(ErrorCategory::permanent, "git", std::move(message));
    return rejected(std::move(message));
}

// The copy is ours alone: what was checked is what is imported. The loop gets its turn between the pieces.
Task<Result<void>> copy_range(const posix::Fd& from, std::int64_t offset, std::int64_t end, fs::path to) {
    posix::Fd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out) co_return posix::errno_error("create " + to.string(), errno);
    const auto executor = co_await asio::this_coro::executor;
    for (off64_t at = offset; at < end;) {
        const auto n = ::copy_file_range(from.get(), &at, out.get(), nullptr,
                                         std::min<std::size_t>(8u << 20, static_cast<std::size_t>(end - at)), 0);
        if (n < 0) co_return posix::errno_error("copy the bundle", errno);
        if (n == 0) co_return rejected("the bundle became shorter while it was read");
        co_await asio::post(executor, asio::use_awaitable);
    }
    co_return Result<void>{};
}

struct Import {
    CollectRequest request;
    fs::path quarantine;  // bare, borrows the project's objects
    BundleHead bundle;
    std::string head;

    git::Call call(std::vector<std::string> arguments, std::string input = {}) const {
        return {.repository = quarantine,
                .arguments = std::move(arguments),
                .input = std::move(input),
                .bounds = git::Bounds{}};
    }
};

// git on the worker's bytes: where it fails, they are to blame.
Task<Result<std::string>> examine(git::Call call) {
    const auto step = "git " + call.arguments.front();
    auto outcome = co_await git::run(std::move(call));
    if (!outcome) co_return std::unexpected(in_context(outcome.error(), step));
    if (!outcome->ok()) co_return failed(step, *outcome);
    co_return std::move(outcome->output);
}

Result<std::string> choose_head(const CollectRequest& request, const BundleHead& bundle) {
    if (bundle.tips.empty()) return rejected("the bundle names no commit");
    if (!request.head_sha) return bundle.tips.front().first;
    for (const auto& [sha, ref] : bundle.tips)
        if (sha == *request.head_sha) return sha;
    return rejected(fmt::format("the bundle does not hold the worker's HEAD {}", *request.head_sha));
}

Task<Result<void>> open_quarantine(Import& import) {
    auto made = co_await git::output({.repository = import.quarantine,
                                      .arguments = {"init", "-q", "--bare", "--template=", "--initial-branch=none"}});
    if (!made) co_return std::unexpected(made.error());
    std::error_code ec;
    const auto project = fs::canonical(import.request.repository, ec);
    if (ec)
        co_return fail(
            ErrorCategory::permanent, "io",
            fmt::format("the project's repository {}: {}", import.request.repository.string(), ec.message()));
    const auto alternates = project.string() + "/objects\n";
    fs::create_directories(import.quarantine / "objects" / "info", ec);
    co_return posix::write_file_atomically(import.quarantine / "objects" / "info" / "alternates", alternates, 0600);
}

Task<Result<void>> read_bundle(Import& import) {
    const auto& limits = import.request.limits;
    auto file = posix::open_regular(import.request.bundle);
    if (!file) co_return rejected("the bundle cannot be read: " + file.error().message);
    struct stat st{};
    if (::fstat(file->get(), &st) != 0) co_return posix::errno_error("stat the bundle", errno);
    if (st.st_size > limits.bundle_bytes)
        co_return rejected(fmt::format("the bundle has {} bytes, the limit is {}", st.st_size, limits.bundle_bytes));
    std::string text(kBundleHeadLimit, '\0');
    const auto n = ::pread(file->get(), text.data(), text.size(), 0);
    if (n < 0) co_return posix::errno_error("read the bundle", errno);
    text.resize(static_cast<std::size_t>(n));
    auto head = read_bundle_head(text);
    if (!head) co_return std::unexpected(head.error());
    if (head->objects > limits.objects)
        co_return rejected(fmt::format("the bundle has {} objects, the limit is {}", head->objects, limits.objects));
    auto chosen = choose_head(import.request, *head);
    if (!chosen) co_return std::unexpected(chosen.error());
    import.bundle = std::move(*head);
    import.head = std::move(*chosen);
    co_return co_await copy_range(*file, static_cast<std::int64_t>(import.bundle.pack_offset), st.st_size,
                                  import.quarantine / "incoming");
}

// Checks every object while it stays compressed. Returns the pack's index file.
Task<Result<fs::path>> index_objects(Import& import) {
    auto call = import.call({"index-pack", "--stdin", "--fix-thin", "--strict", "--threads=1"});
    call.input_file = import.quarantine / "incoming";
    auto outcome = co_await git::run(std::move(call));
    if (!outcome) co_return std::unexpected(outcome.error());
    if (!outcome->ok()) co_return failed("the bundle's objects do not pass the check", *outcome);
    for (const auto& entry : fs::directory_iterator(import.quarantine / "objects" / "pack"))
        if (entry.path().extension() == ".idx") co_return entry.path();
    co_return rejected("the bundle holds no object");
}

// Only declared sizes are read: nothing is unpacked for it.
Task<Result<void>> check_unpacked_size(Import& import, fs::path index) {
    auto show = import.call({"show-index"});
    show.input_file = std::move(index);
    auto listed = co_await examine(std::move(show));
    if (!listed) co_return std::unexpected(listed.error());
    std::string names;
    std::string_view rest = *listed;
    for (std::size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
        const auto line = rest.substr(0, end);
        const auto begin = line.find(' ') + 1;
        names.append(line.substr(begin, line.find(' ', begin) - begin)).push_back('\n');
    }
    auto sizes = co_await examine(import.call({"cat-file", "--batch-check=%(objectsize)"}, std::move(names)));
    if (!sizes) co_return std::unexpected(sizes.error());
    std::int64_t total = 0;
    for (const char *at = sizes->data(), *end = at + sizes->size(); at < end;) {
        std::int64_t size = 0;
        const auto [next, ec] = std::from_chars(at, end, size);
        if (ec != std::errc{}) co_return rejected("the size of an object in the bundle cannot be read");
        total += size;
        at = next + 1;
    }
    const auto limit = import.request.limits.unpacked_bytes;
    if (total > limit)
        co_return rejected(fmt::format("the new objects unpack to {} bytes, the limit is {}", total, limit));
    co_return Result<void>{};
}

Task<Result<bool>> is_ancestor(const Import& import, std::string ancestor, std::string descendant) {
    auto outcome = co_await git::run(import.call({"merge-base", "--is-ancestor", ancestor, descendant}));
    if (!outcome) co_return std::unexpected(outcome.error());
    if (outcome->end == process::Outcome::End::exited && outcome->code <= 1) co_return outcome->code == 0;
    co_return failed(fmt::format("the history from {} to {} cannot be walked", ancestor, descendant), *outcome);
}

Task<Result<void>> check_history(Import& import) {
    const auto& base = import.request.base_sha;
    auto complete = co_await git::run(import.call({"rev-list", "--objects", "--quiet", import.head, "--not", base}));
    if (!complete) co_return std::unexpected(complete.error());
    if (!complete->ok()) co_return failed("the bundle's history is incomplete", *complete);
    auto type = co_await examine(import.call({"cat-file", "-t", import.head}));
    if (!type) co_return std::unexpected(type.error());
    if (!type->starts_with("commit")) co_return rejected("the bundle's head is not a commit");
    auto descends = co_await is_ancestor(import, base, import.head);
    if (!descends) co_return std::unexpected(descends.error());
    if (!*descends)
        co_return rejected(fmt::format("the worker's HEAD {} does not descend from its base {}", import.head, base));
    co_return Result<void>{};
}

// What a checkout or a comparison would have to expand, counted before either is made. Against the base: a project
// that is large already stays workable.
Task<Result<void>> check_paths(Import& import) {
    auto roots = co_await examine(import.call({"rev-parse", "--verify", import.head + "^{tree}"}));
    if (!roots) co_return std::unexpected(roots.error());
    auto base = co_await examine(import.call({"rev-parse", "--verify", import.request.base_sha + "^{tree}"}));
    if (!base) co_return std::unexpected(base.error());
    const auto new_root = roots->substr(0, roots->find('\n'));
    const auto base_root = base->substr(0, base->find('\n'));
    auto trees = co_await examine(
        import.call({"rev-list", "--objects", "--no-object-names", "--filter=object:type=tree", new_root, base_root}));
    if (!trees) co_return std::unexpected(trees.error());
    auto batch = import.call({"cat-file", "--batch", "--buffer"}, std::move(*trees));
    batch.output_bytes = 64u << 20;
    auto contents = co_await examine(std::move(batch));
    if (!contents) co_return std::unexpected(contents.error());
    auto counted = count_paths(*contents, new_root, base_root);
    if (!counted) co_return std::unexpected(counted.error());
    const auto [paths, known] = *counted;
    const auto limit = import.request.limits.paths;
    if (paths > known + limit)
        co_return rejected(fmt::format("the commit has {}{} paths, its base {}; the limit is {} more",
                                       paths == kCountlessPaths ? "more than " : "", paths, known, limit));
    co_return Result<void>{};
}

// The claimed sha, in full; nullopt: there is no such commit.
Task<Result<std::optional<std::string>>> resolve_claim(const Import& import, std::string claimed) {
    if (!is_claimable(claimed)) co_return std::nullopt;
    auto outcome =
        co_await git::run(import.call({"rev-parse", "--verify", "--quiet", "--end-of-options", claimed + "^{commit}"}));
    if (!outcome) co_return std::unexpected(outcome.error());
    if (!outcome->ok()) co_return std::nullopt;
    co_return outcome->output.substr(0, outcome->output.find('\n'));
}

Task<Result<void>> check_claim(const Import& import) {
    if (!import.request.claimed_sha) co_return Result<void>{};
    const auto& claimed = *import.request.claimed_sha;
    ClaimFacts facts;
    auto resolved = co_await resolve_claim(import, claimed);
    if (!resolved) co_return std::unexpected(resolved.error());
    if (*resolved) {
        facts.exists = true;
        auto in_head = co_await is_ancestor(import, **resolved, import.head);
        if (!in_head) co_return std::unexpected(in_head.error());
        facts.in_head = *in_head;
        auto in_base = co_await is_ancestor(import, **resolved, import.request.base_sha);
        if (!in_base) co_return std::unexpected(in_base.error());
        facts.in_base = *in_base;
    }
    co_return judge_claimed_commit(claimed, facts);
}

std::string printable(std::string_view name) {
    // Names are bytes to git; what is not UTF-8 would make the whole answer unreadable.
    std::string out(name);
    boost::system::error_code ec;
    const auto quoted = boost::json::serialize(boost::json::string(name));
    boost::json::parse(quoted, ec);
    if (ec)
        for (auto& c : out)
            if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    return out;
}

Task<Result<Collected>> describe_work(const Import& import) {
    Collected collected;
    collected.commit_sha = import.head;
    auto count = co_await examine(import.call({"rev-list", "--count", import.head, "--not", import.request.base_sha}));
    if (!count) co_return std::unexpected(count.error());
    std::from_chars(count->data(), count->data() + count->size(), collected.commits);
    auto diff =
        import.call({"diff-tree", "-r", "-z", "--name-only", "--no-renames", import.request.base_sha, import.head});
    diff.output_bytes = kMaxFilesNamed * PATH_MAX;
    auto outcome = co_await git::run(std::move(diff));
    if (!outcome) co_return std::unexpected(in_context(outcome.error(), "git diff-tree"));
    // Stopped in the middle of a long list: what it wrote is more than is named.
    if (!outcome->ok() && outcome->end != process::Outcome::End::output_limit)
        co_return failed("git diff-tree", *outcome);
    const auto* names = &outcome->output;
    for (std::size_t begin = 0, end;
         (end = names->find('\0', begin)) != std::string::npos && collected.files_changed.size() < kMaxFilesNamed;
         begin = end + 1)
        collected.files_changed.push_back(printable(std::string_view(*names).substr(begin, end - begin)));
    co_return collected;
}

// Into the project's repository, as one pack of just what is new.
Task<Result<void>> publish_branch(const Import& import) {
    auto marked = co_await git::output(import.call({"update-ref", std::string(kIncoming), import.head}));
    if (!marked) co_return std::unexpected(marked.error());
    auto fetched =
        co_await git::run({.repository = import.request.repository,
                           .arguments = {"fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
                                         "--no-recurse-submodules", "--force", import.quarantine.string(),
                                         fmt::format("{}:refs/heads/{}", kIncoming, import.request.branch)},
                           .bounds = git::Bounds{}});
    const auto step = "publish " + import.request.branch;
    if (!fetched) co_return std::unexpected(in_context(fetched.error(), step));
    using End = process::Outcome::End;
    // Beyond a bound it is the worker's bytes; else the checks passed and the project's repository refused.
    if (fetched->end != End::exited || fetched->errors.contains("out of memory")) co_return failed(step, *fetched);
    if (!fetched->ok()) co_return fail(ErrorCategory::permanent, "git", step + ": " + fetched->describe());
    co_return Result<void>{};
}

Task<Result<Collected>> import_bundle(Import import) {
    auto opened = co_await open_quarantine(import);
    if (!opened) co_return std::unexpected(in_context(opened.error(), "quarantine repository"));
    auto read = co_await read_bundle(import);
    if (!read) co_return std::unexpected(read.error());
    auto index = co_await index_objects(import);
    if (!index) co_return std::unexpected(index.error());
    auto sized = co_await check_unpacked_size(import, *index);
    if (!sized) co_return std::unexpected(sized.error());
    auto history = co_await check_history(import);
    if (!history) co_return std::unexpected(history.error());
    auto bounded = co_await check_paths(import);
    if (!bounded) co_return std::unexpected(bounded.error());
    auto claim = co_await check_claim(import);
    if (!claim) co_return std::unexpected(claim.error());
    if (import.head == import.request.base_sha) co_return Collected{};
    auto work = co_await describe_work(import);
    if (!work) co_return work;
    auto published = co_await publish_branch(import);
    if (!published) co_return std::unexpected(published.error());
    co_return work;
}

// No bundle: the worker says that HEAD is still the base.
Task<Result<Collected>> nothing_new(Import import) {
    if (import.request.head_sha && *import.request.head_sha != import.request.base_sha)
        co_return rejected(fmt::format("the worker's HEAD is {}, but it left no bundle", *import.request.head_sha));
    import.quarantine = import.request.repository;  // only read
    import.head = import.request.base_sha;
    auto claim = co_await check_claim(import);
    if (!claim) co_return std::unexpected(claim.error());
    co_return Collected{};
}

}  // namespace

Task<Result<Collected>> collect(CollectRequest request) {
    Import import{std::move(request), {}, {}, {}};
    if (import.request.bundle.empty()) co_return co_await nothing_new(std::move(import));
    if (auto made = posix::make_directory(import.request.quarantine, 0700); !made)
        co_return std::unexpected(made.error());
    const auto place = import.request.quarantine / random_token(8);
    import.quarantine = place;
    auto result = co_await import_bundle(std::move(import));
    co_await remove_tree(place);
    co_return result;
}

}  // namespace codegen::worker_manager
