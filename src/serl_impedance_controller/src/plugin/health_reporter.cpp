// SPDX-License-Identifier: Apache-2.0
#include "health_reporter.hpp"

#include <algorithm>
#include <cstdio>

#include <lifecycle_msgs/msg/state.hpp>

#include "serl_impedance_controller/describe.hpp"

namespace serl_impedance_controller
{

namespace
{

constexpr std::chrono::milliseconds kLookPeriod(50);
constexpr unsigned kLooksPerReport = 20;
constexpr std::chrono::milliseconds kResetPatience(1000);

std::string text_of(const ControlStatus & status)
{
  const Fault & fault = status.fault;
  std::string text;
  describe(fault, text);
  const char * value = nullptr;
  switch (fault.code) {
    case FaultCode::kStaleTarget: value = " (age %.3g s)"; break;
    case FaultCode::kBadQuaternion: value = " (norm %.3g)"; break;
    case FaultCode::kOutsideWorkspace: value = " (%.3g m or rad outside)"; break;
    case FaultCode::kTooFast: value = " (%.3g m/s or rad/s)"; break;
    case FaultCode::kOscillation: value = " (swings of %.3g rad/s)"; break;
    case FaultCode::kImplausible: value = " (%.3g)"; break;
    default: break;
  }
  if (value != nullptr) {
    char number[48];
    std::snprintf(number, sizeof(number), value, fault.value);
    text += number;
  }
  if (fault.code == FaultCode::kTwoSenders) {
    text.append(" (").append(status.senders.data()).append(")");
  }
  return text;
}

diagnostic_msgs::msg::KeyValue pair(const std::string & key, const std::string & value)
{
  diagnostic_msgs::msg::KeyValue out;
  out.key = key;
  out.value = value;
  return out;
}

}  // namespace

HealthReporter::HealthReporter(rclcpp_lifecycle::LifecycleNode & node, std::shared_ptr<ArmControl> control)
: node_(node), control_(std::move(control))
{
  // Not the lifecycle kind: an inactive controller has something to report too.
  diagnostics_ = rclcpp::create_publisher<diagnostic_msgs::msg::DiagnosticArray>(
    node, "/diagnostics", rclcpp::QoS(10));
}

void HealthReporter::start()
{
  const std::weak_ptr<HealthReporter> weak = weak_from_this();
  service_ = node_.create_service<Trigger>(
    "reset_fault", [weak](std::shared_ptr<rmw_request_id_t> id, std::shared_ptr<Trigger::Request>) {
      if (const auto self = weak.lock()) {
        self->on_reset(std::move(id));
      }
    });
  reset_command_ = std::string("ros2 service call ") + service_->get_service_name() + " std_srvs/srv/Trigger";
  timer_ = node_.create_wall_timer(
    kLookPeriod, [weak] {
      if (const auto self = weak.lock()) {
        self->look();
      }
    });
}

bool HealthReporter::active() const
{
  return node_.get_current_state().id() == lifecycle_msgs::msg::State::PRIMARY_STATE_ACTIVE;
}

void HealthReporter::look()
{
  const ControlStatus & status = control_->status();
  log_changes(status);
  answer(status);
  if (++looks_ >= kLooksPerReport) {
    looks_ = 0;
    publish_diagnostics(status);
  }
}

void HealthReporter::log_changes(const ControlStatus & status)
{
  const auto logger = node_.get_logger();
  if (status.fault.code != logged_fault_) {
    if (status.fault) {
      RCLCPP_ERROR(
        logger, "Fault: %s. The arm holds its pose and ignores targets. When the cause is gone: %s",
        text_of(status).c_str(), reset_command_.c_str());
    } else {
      RCLCPP_INFO(logger, "Fault reset; the arm holds its pose and follows the next target.");
    }
    logged_fault_ = status.fault.code;
  }
  if (status.stale_targets != logged_stale_) {
    RCLCPP_WARN(
      logger, "No fresh target: the arm holds its pose until one comes (stale_target is 'hold'). Check that its "
      "sender runs, that it stamps what it sends, and that both use one clock.");
    logged_stale_ = status.stale_targets;
  }
}

void HealthReporter::on_reset(std::shared_ptr<rmw_request_id_t> id)
{
  const Pending pending{std::move(id), 0, {}};
  if (!active()) {
    reply(pending, false, "the controller is not active; activating it resets every fault");
  } else if (!control_->status().fault) {
    reply(pending, true, "there was no fault");
  } else {
    pending_.push_back({pending.id, control_->request_reset(), Clock::now() + kResetPatience});
  }
}

void HealthReporter::answer(const ControlStatus & status)
{
  const auto answered = [&](const Pending & pending) {
      // The tick that resets also checks its inputs: a fault whose cause persists is back in its status.
      if (static_cast<std::int32_t>(status.resets - pending.reset) >= 0) {
        if (status.fault) {
          reply(pending, false, "the fault came back at once: " + text_of(status));
        } else {
          reply(pending, true, "fault reset; the arm holds its pose");
        }
        return true;
      }
      if (Clock::now() > pending.deadline) {
        reply(pending, false, "the controller does not tick; check the controller manager");
        return true;
      }
      return false;
    };
  pending_.erase(std::remove_if(pending_.begin(), pending_.end(), answered), pending_.end());
}

void HealthReporter::reply(const Pending & pending, bool success, const std::string & message)
{
  Trigger::Response response;
  response.success = success;
  response.message = message;
  service_->send_response(*pending.id, response);
}

void HealthReporter::publish_diagnostics(const ControlStatus & status)
{
  using Status = diagnostic_msgs::msg::DiagnosticStatus;
  Status line;
  line.name = std::string(node_.get_fully_qualified_name()).substr(1) + ": control law";
  const bool ticks = status.tick != reported_tick_;
  if (!active()) {
    line.level = Status::OK;
    line.message = "inactive";
  } else if (!ticks) {
    line.level = Status::ERROR;
    line.message = "active, but not updated; check the controller manager";
  } else if (status.fault) {
    line.level = Status::ERROR;
    line.message = text_of(status) + "; then: " + reset_command_;
  } else {
    line.level = Status::OK;
    line.message = status.holding ? "holding, no target" : "following the target";
  }
  line.values = {
    pair("mode", status.mode == Mode::kPose ? "impedance" : "wrench"),
    pair("profile", node_.get_parameter("profile").as_string()),
    pair("holding", status.holding ? "true" : "false"),
    pair("fault", std::to_string(static_cast<int>(status.fault.code))),
    pair("stale_targets", std::to_string(status.stale_targets)),
    pair("ticks", std::to_string(status.tick - reported_tick_))};
  reported_tick_ = status.tick;
  diagnostic_msgs::msg::DiagnosticArray message;
  message.header.stamp = node_.now();
  message.status.push_back(line);
  diagnostics_->publish(message);
}

}  // namespace serl_impedance_controller
