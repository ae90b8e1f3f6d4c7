// SPDX-License-Identifier: Apache-2.0
/// \file
/// ros2_control hardware that is no hardware: any effort-controlled arm, from its robot_description.
#ifndef MOCK__MOCK_ARM_HPP_
#define MOCK__MOCK_ARM_HPP_

#include <memory>
#include <string>
#include <vector>

#include <hardware_interface/system_interface.hpp>

#include "rigid_body_arm.hpp"

namespace serl_impedance_controller
{

/// Takes a torque per joint, gives position, velocity and effort of an arm in free space under gravity.
///
/// The arm is braked until the first torque arrives after its command interfaces are claimed, and again once they are
/// released. Its time runs with the controller manager's, except in cycles longer than `longest_cycle`: a machine that
/// was busy elsewhere must not let the arm swing through with an old torque.
///
/// Hardware parameters: `gravity_compensation` (the arm balances its own weight, as Franka arms do; default false),
/// `longest_cycle` [s] (default two cycles). Joint parameters: `armature` [kg m^2], `damping` [Nms/rad], `friction`
/// [Nm]. Positions at the start are the `initial_value` of the position state interfaces; hard stops and effort
/// limits are those of the robot_description.
class MockArm : public hardware_interface::SystemInterface
{
public:
  using CallbackReturn = hardware_interface::CallbackReturn;
  using return_type = hardware_interface::return_type;

  CallbackReturn on_init(const hardware_interface::HardwareComponentInterfaceParams & params) override;
  CallbackReturn on_configure(const rclcpp_lifecycle::State & previous) override;
  CallbackReturn on_activate(const rclcpp_lifecycle::State & previous) override;
  CallbackReturn on_deactivate(const rclcpp_lifecycle::State & previous) override;
  return_type prepare_command_mode_switch(
    const std::vector<std::string> & start, const std::vector<std::string> & stop) override;
  return_type perform_command_mode_switch(
    const std::vector<std::string> & start, const std::vector<std::string> & stop) override;
  return_type read(const rclcpp::Time & time, const rclcpp::Duration & period) override;
  return_type write(const rclcpp::Time & time, const rclcpp::Duration & period) override;

private:
  /// Handles of one joint; a state that the description does not list is null.
  struct Interfaces
  {
    hardware_interface::CommandInterface::SharedPtr command;
    hardware_interface::StateInterface::SharedPtr position;
    hardware_interface::StateInterface::SharedPtr velocity;
    hardware_interface::StateInterface::SharedPtr effort;
  };

  void brake();
  bool take_commands();
  void show(const hardware_interface::StateInterface::SharedPtr & state, double value);
  bool is_own_effort(const std::string & interface) const;

  std::unique_ptr<RigidBodyArm> arm_;
  std::vector<Interfaces> interfaces_;   // order of the joints
  Eigen::VectorXd command_;
  double longest_cycle_ = 0.0;           // [s]
  bool claimed_ = false;                 // a controller has the command interfaces
  bool driven_ = false;                  // and has commanded a torque since
};

}  // namespace serl_impedance_controller

#endif  // MOCK__MOCK_ARM_HPP_
