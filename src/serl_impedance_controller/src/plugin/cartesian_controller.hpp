// SPDX-License-Identifier: Apache-2.0
/// \file
/// The control law as a ros2_control controller for effort-controlled arms.
#ifndef PLUGIN__CARTESIAN_CONTROLLER_HPP_
#define PLUGIN__CARTESIAN_CONTROLLER_HPP_

#include <memory>
#include <string>
#include <vector>

#include <controller_interface/controller_interface.hpp>
#include <rclcpp/rclcpp.hpp>

#include "arm_control.hpp"
#include "external_wrench.hpp"
#include "health_reporter.hpp"
#include "robot_model.hpp"
#include "settings.hpp"
#include "state_publisher.hpp"
#include "target_inputs.hpp"

namespace serl_impedance_controller
{

/// Wires topics, parameters and hardware interfaces to ArmControl, RobotModel, ExternalWrench and StatePublisher.
///
/// Subscribes target_pose (base frame), target_wrench (tcp frame) and gripper/state, publishes arm_state and
/// /diagnostics, serves reset_fault. update() neither allocates, locks nor logs.
class CartesianController : public controller_interface::ControllerInterface
{
public:
  using CallbackReturn = controller_interface::CallbackReturn;

  controller_interface::InterfaceConfiguration command_interface_configuration() const override;
  controller_interface::InterfaceConfiguration state_interface_configuration() const override;

  CallbackReturn on_init() override;
  CallbackReturn on_configure(const rclcpp_lifecycle::State & previous) override;
  CallbackReturn on_activate(const rclcpp_lifecycle::State & previous) override;
  CallbackReturn on_deactivate(const rclcpp_lifecycle::State & previous) override;
  CallbackReturn on_cleanup(const rclcpp_lifecycle::State & previous) override;

  controller_interface::return_type update(const rclcpp::Time & time, const rclcpp::Duration & period) override;

protected:
  std::shared_ptr<ArmControl> control_;   // tests look at it

private:
  void build_arm();
  void connect_topics();
  void connect_parameters();
  void release_arm();
  std::string unstable_gains();

  rclcpp::Time clock_time(const rclcpp::Time & time) const;
  bool read_joints();
  void write_torque(const Eigen::VectorXd & torque);
  void step_external_wrench(double period);
  std::size_t joints() const {return params_.joints.size();}

  std::shared_ptr<cartesian_controller::ParamListener> listener_;
  Params params_;             // as they were at configuration: for what is read only
  ArmLimits limits_;

  std::unique_ptr<RobotModel> model_;
  std::unique_ptr<ExternalWrench> external_wrench_;
  std::shared_ptr<GripperState> gripper_;
  std::unique_ptr<StatePublisher> state_publisher_;
  std::shared_ptr<HealthReporter> health_;
  std::unique_ptr<TargetInputs> targets_;

  std::unique_ptr<ArmSample> sample_;
  Eigen::VectorXd bias_;
  Eigen::VectorXd torque_;          // commanded
  Eigen::VectorXd physical_torque_;  // what turns the joints: commanded or measured, with gravity compensation
  rclcpp::Clock::SharedPtr clock_;
  int missed_reads_ = 0;

  rclcpp::Subscription<std_msgs::msg::Float64>::SharedPtr gripper_subscription_;
  rclcpp::node_interfaces::OnSetParametersCallbackHandle::SharedPtr on_set_;
  rclcpp::node_interfaces::PostSetParametersCallbackHandle::SharedPtr post_set_;
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__CARTESIAN_CONTROLLER_HPP_
