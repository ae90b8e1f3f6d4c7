// SPDX-License-Identifier: Apache-2.0
/// \file
/// What is logged while it lives.
#ifndef PLUGIN__LOG_CAPTURE_HPP_
#define PLUGIN__LOG_CAPTURE_HPP_

#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <string>

#include <rclcpp/rclcpp.hpp>
#include <rcutils/logging.h>

namespace serl_impedance_controller::test
{

class LogCapture
{
public:
  LogCapture()
  {
    if (!rclcpp::ok()) {
      rclcpp::init(0, nullptr);   // sets a handler of its own
    }
    before_ = rcutils_logging_get_output_handler();
    text().clear();
    rcutils_logging_set_output_handler(&LogCapture::handle);
  }

  ~LogCapture() {rcutils_logging_set_output_handler(before_);}

  bool has(const std::string & part) const
  {
    const std::lock_guard<std::mutex> lock(mutex());
    return text().find(part) != std::string::npos;
  }

  std::string all() const
  {
    const std::lock_guard<std::mutex> lock(mutex());
    return text();
  }

private:
  static std::string & text()
  {
    static std::string all;
    return all;
  }

  static std::mutex & mutex()
  {
    static std::mutex one;
    return one;
  }

  static void handle(
    const rcutils_log_location_t *, int, const char *, rcutils_time_point_value_t, const char * format, va_list * args)
  {
    char line[2048];
    va_list copy;
    va_copy(copy, *args);
    std::vsnprintf(line, sizeof(line), format, copy);
    va_end(copy);
    const std::lock_guard<std::mutex> lock(mutex());
    text().append(line).append("\n");
  }

  rcutils_logging_output_handler_t before_;
};

}  // namespace serl_impedance_controller::test

#endif  // PLUGIN__LOG_CAPTURE_HPP_
