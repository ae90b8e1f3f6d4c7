// SPDX-License-Identifier: Apache-2.0
#include "state_publisher.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <vector>

#include "arm_control.hpp"
#include "serl_impedance_controller/describe.hpp"

namespace serl_impedance_controller
{

namespace
{

constexpr std::size_t kFaultTextRoom = 255 + SenderConflict::kRoom + 4;  // describe() needs no more than 255

std::int64_t steady_nanoseconds()
{
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void fill(const Vector3 & from, geometry_msgs::msg::Vector3 & to)
{
  to.x = from.x();
  to.y = from.y();
  to.z = from.z();
}

void fill(const Pose & from, geometry_msgs::msg::Pose & to)
{
  to.position.x = from.position.x();
  to.position.y = from.position.y();
  to.position.z = from.position.z();
  to.orientation.x = from.orientation.x();
  to.orientation.y = from.orientation.y();
  to.orientation.z = from.orientation.z();
  to.orientation.w = from.orientation.w();
}

void fill(const Eigen::VectorXd & from, std::vector<double> & to)
{
  std::copy(from.data(), from.data() + from.size(), to.begin());  // sized at construction
}

}  // namespace

void GripperState::receive(double opening)
{
  opening_ = opening;
  received_ = steady_nanoseconds();
}

double GripperState::opening() const
{
  const double age = 1e-9 * static_cast<double>(steady_nanoseconds() - received_.load());
  return age <= timeout_.load() ? opening_.load() : std::numeric_limits<double>::quiet_NaN();
}

StatePublisher::StatePublisher(
  rclcpp_lifecycle::LifecycleNode & node, Eigen::Index joints, const std::string & base_frame,
  const std::string & tcp_frame, unsigned every)
: every_(std::max(1u, every))
{
  const auto count = static_cast<std::size_t>(joints);
  message_.header.frame_id = base_frame;
  message_.tcp_frame = tcp_frame;
  message_.joint_position.resize(count);
  message_.joint_velocity.resize(count);
  message_.joint_effort.resize(count);
  message_.fault_text.reserve(kFaultTextRoom);
  // Not the lifecycle kind, which would have to be activated on its own.
  publisher_ = std::make_unique<realtime_tools::RealtimePublisher<Message>>(
    rclcpp::create_publisher<Message>(
      node, "arm_state",
      rclcpp::QoS(1).best_effort()));
  // The copy that the real-time thread assigns to gets its room here.
  publisher_->msg_ = message_;
  publisher_->msg_.fault_text.reserve(kFaultTextRoom);
}

bool StatePublisher::due()
{
  count_ = count_ + 1 < every_ ? count_ + 1 : 0;
  return count_ == 0;
}

void StatePublisher::publish(
  const rclcpp::Time & stamp, const ArmSample & sample, const Vector6 & wrench, const Eigen::VectorXd & torque,
  double gripper, const Pose & target, const Fault & fault, const char * senders)
{
  message_.header.stamp = stamp;
  fill(sample.pose, message_.tcp_pose);
  const Vector6 twist = sample.jacobian.lazyProduct(sample.dq);
  fill(Vector3(twist.head<3>()), message_.tcp_twist.linear);
  fill(Vector3(twist.tail<3>()), message_.tcp_twist.angular);
  fill(Vector3(wrench.head<3>()), message_.external_wrench.force);
  fill(Vector3(wrench.tail<3>()), message_.external_wrench.torque);
  fill(sample.q, message_.joint_position);
  fill(sample.dq, message_.joint_velocity);
  fill(torque, message_.joint_effort);
  message_.gripper_position = gripper;
  fill(target, message_.target_pose);
  message_.fault = static_cast<std::uint32_t>(fault.code);
  describe(fault, message_.fault_text);
  if (senders[0] != '\0') {
    message_.fault_text.append(" (").append(senders).append(")");
  }
  publisher_->try_publish(message_);
}

}  // namespace serl_impedance_controller
