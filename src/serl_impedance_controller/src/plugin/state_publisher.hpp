// SPDX-License-Identifier: Apache-2.0
/// \file
/// arm_state, from the real-time thread at a set rate.
#ifndef PLUGIN__STATE_PUBLISHER_HPP_
#define PLUGIN__STATE_PUBLISHER_HPP_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include <hil_serl_msgs/msg/arm_state.hpp>
#include <rclcpp/rclcpp.hpp>
#include <rclcpp_lifecycle/lifecycle_node.hpp>
#include <realtime_tools/realtime_publisher.hpp>
#include <std_msgs/msg/float64.hpp>

#include "arm_sample.hpp"
#include "serl_impedance_controller/fault.hpp"

namespace serl_impedance_controller
{

/// Opening of the gripper as its adapter reports it, for the real-time thread.
class GripperState
{
public:
  explicit GripperState(double timeout) : timeout_(timeout) {}

  void receive(double opening);
  void set_timeout(double timeout) {timeout_ = timeout;}

  /// 0 closed ... 1 open; NaN if nothing has come within the timeout.
  double opening() const;

private:
  std::atomic<double> timeout_;
  std::atomic<double> opening_{std::numeric_limits<double>::quiet_NaN()};
  std::atomic<std::int64_t> received_{0};  // steady clock [ns]
};

class StatePublisher
{
public:
  /// \param every  publish at every so many calls of due()
  StatePublisher(
    rclcpp_lifecycle::LifecycleNode & node, Eigen::Index joints, const std::string & base_frame,
    const std::string & tcp_frame, unsigned every);

  /// Call once a tick: true if this tick's state is to be published.
  bool due();

  /// Hand over this tick's state, unless the message before is still being sent. Neither allocates nor blocks.
  ///
  /// \param wrench  external wrench at the tcp, base axes
  /// \param torque  commanded
  /// \param target  after smoothing and limiting, in base
  /// \param senders  whom the fault is about, see ArmControl
  void publish(
    const rclcpp::Time & stamp, const ArmSample & sample, const Vector6 & wrench, const Eigen::VectorXd & torque,
    double gripper, const Pose & target, const Fault & fault, const char * senders);

private:
  using Message = hil_serl_msgs::msg::ArmState;

  Message message_;
  std::unique_ptr<realtime_tools::RealtimePublisher<Message>> publisher_;
  unsigned every_;
  unsigned count_ = 0;
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__STATE_PUBLISHER_HPP_
