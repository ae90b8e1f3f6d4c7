// SPDX-License-Identifier: Apache-2.0
/// \file
/// Log lines, diagnostics and the answer of reset_fault, outside of the real-time thread.
#ifndef PLUGIN__HEALTH_REPORTER_HPP_
#define PLUGIN__HEALTH_REPORTER_HPP_

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <diagnostic_msgs/msg/diagnostic_array.hpp>
#include <rclcpp/rclcpp.hpp>
#include <rclcpp_lifecycle/lifecycle_node.hpp>
#include <std_srvs/srv/trigger.hpp>

#include "arm_control.hpp"

namespace serl_impedance_controller
{

/// Looks at the control's status twenty times a second: a fault that begins or ends is logged with its remedy, and once
/// a second /diagnostics says how things are. reset_fault is answered when the reset has been carried out.
class HealthReporter : public std::enable_shared_from_this<HealthReporter>
{
public:
  HealthReporter(rclcpp_lifecycle::LifecycleNode & node, std::shared_ptr<ArmControl> control);

  /// Begin. Callbacks keep the reporter alive while they run, so that it may be let go of at any time.
  void start();

private:
  using Trigger = std_srvs::srv::Trigger;
  using Clock = std::chrono::steady_clock;

  struct Pending
  {
    std::shared_ptr<rmw_request_id_t> id;
    std::uint32_t reset;
    Clock::time_point deadline;
  };

  void look();
  void log_changes(const ControlStatus & status);
  void on_reset(std::shared_ptr<rmw_request_id_t> id);
  void answer(const ControlStatus & status);
  void reply(const Pending & pending, bool success, const std::string & message);
  void publish_diagnostics(const ControlStatus & status);
  bool active() const;

  rclcpp_lifecycle::LifecycleNode & node_;
  std::shared_ptr<ArmControl> control_;
  rclcpp::Publisher<diagnostic_msgs::msg::DiagnosticArray>::SharedPtr diagnostics_;
  rclcpp::Service<Trigger>::SharedPtr service_;
  rclcpp::TimerBase::SharedPtr timer_;
  std::vector<Pending> pending_;
  std::string reset_command_;
  FaultCode logged_fault_ = FaultCode::kNone;
  std::uint32_t logged_stale_ = 0;
  std::uint64_t reported_tick_ = 0;
  unsigned looks_ = 0;
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__HEALTH_REPORTER_HPP_
