#include "services/worker-manager/runtime/build_log.hpp"

#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace fs = std::filesystem;

BuildLog::BuildLog(fs::path file, std::size_t limit) : file_(std::move(file)), limit_(limit) {
    std::error_code ignored;
    fs::remove(older(file_), ignored);
    open();
}

void BuildLog::open() {
    out_.close();
    out_.clear();
    out_.open(file_, std::ios::trunc);
    written_ = 0;
}

void BuildLog::line(const std::string& text) {
    if (written_ > 0 && written_ + text.size() + 1 > limit_) {
        out_.close();
        std::error_code failed;
        fs::rename(file_, older(file_), failed);
        open();
    }
    out_ << text << std::endl;
    written_ += text.size() + 1;
    if (!out_ && !std::exchange(told_, true)) log::warning("build log cannot be written", {{"file", file_.string()}});
}

fs::path BuildLog::older(const fs::path& file) { return file.string() + ".1"; }

}  // namespace codegen::worker_manager
