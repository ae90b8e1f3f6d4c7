// SPDX-License-Identifier: Apache-2.0
/// \file
/// The topics that command the arm: each belongs to one controller of the process, and one node at a time sends to it.
#ifndef PLUGIN__TARGET_INPUTS_HPP_
#define PLUGIN__TARGET_INPUTS_HPP_

#include <memory>

#include <geometry_msgs/msg/pose_stamped.hpp>
#include <geometry_msgs/msg/wrench_stamped.hpp>
#include <rclcpp/rclcpp.hpp>
#include <rclcpp_lifecycle/lifecycle_node.hpp>

#include "arm_control.hpp"
#include "topic_claim.hpp"

namespace serl_impedance_controller
{

/// Hands target_pose and target_wrench over to the control. A second node that sends to one of them makes the control
/// latch a fault that names both.
class TargetInputs
{
public:
  /// Raises std::invalid_argument if another controller of this process follows one of the topics.
  TargetInputs(rclcpp_lifecycle::LifecycleNode & node, const std::shared_ptr<ArmControl> & control);

private:
  TopicClaim pose_claim_, wrench_claim_;
  rclcpp::Subscription<geometry_msgs::msg::PoseStamped>::SharedPtr pose_;
  rclcpp::Subscription<geometry_msgs::msg::WrenchStamped>::SharedPtr wrench_;
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__TARGET_INPUTS_HPP_
