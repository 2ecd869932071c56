// The log of one image build: lines in <hash>.log, at most two files of `limit` bytes; the newest are always kept.
#pragma once
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

namespace codegen::worker_manager {

inline constexpr std::size_t kBuildLogLimit = 1u << 20;

// Blocking, on files of bounded size. What cannot be written is logged once; a build does not fail for its log.
class BuildLog {
  public:
    explicit BuildLog(std::filesystem::path file, std::size_t limit = kBuildLogLimit);
    void line(const std::string& text);
    const std::filesystem::path& file() const { return file_; }
    static std::filesystem::path older(const std::filesystem::path& file);  // <hash>.log.1: what came before

  private:
    void open();

    const std::filesystem::path file_;
    const std::size_t limit_;
    std::ofstream out_;
    std::size_t written_ = 0;
    bool told_ = false;
};

}  // namespace codegen::worker_manager
