// Reading what the engine streams back. Pure.
#pragma once
#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/result.hpp"

namespace codegen::clients {

// The value at a path of keys, or nullptr.
const boost::json::value* find(const boost::json::value& value, std::initializer_list<std::string_view> path);
std::string text_at(const boost::json::value& value, std::initializer_list<std::string_view> path);  // "" if absent
std::int64_t number_at(const boost::json::value& value, std::initializer_list<std::string_view> path);
bool flag_at(const boost::json::value& value, std::initializer_list<std::string_view> path);

// Concatenated JSON documents, cut anywhere by the transport.
class JsonSequence {
  public:
    // Permanent "protocol" when the bytes are not JSON; then the object is of no more use.
    Result<std::vector<boost::json::value>> feed(std::string_view bytes);

  private:
    boost::json::stream_parser parser_;
    bool inside_ = false;
};

// The multiplexed output of exec and logs: frames of {stream, 0, 0, 0, size (big endian)} and data.
class Demultiplexer {
  public:
    void feed(std::string_view bytes, const std::function<void(int stream, std::string_view data)>& on_data);

  private:
    std::string header_;
    std::size_t left_ = 0;
    int stream_ = 0;
};

// What a build, pull or import said, as lines for people, and how it ended.
class ProgressLog {
  public:
    explicit ProgressLog(std::function<void(std::string)> on_line);
    void feed(const boost::json::value& message);
    // The image id ("" when none was named), or the error: of a build with the step, its command and the last output
    // line.
    Result<std::string> finish();

  private:
    void text(std::string_view piece);
    void line(std::string whole);

    std::function<void(std::string)> on_line_;
    std::string partial_;
    std::string step_;       // "3/9 : RUN false"
    std::string last_line_;  // of the step's own output
    std::string image_;
    std::string last_status_;
    std::optional<std::string> error_;
};

}  // namespace codegen::clients
