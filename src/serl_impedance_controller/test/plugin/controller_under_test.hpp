// SPDX-License-Identifier: Apache-2.0
/// \file
/// The controller with interfaces that belong to the test, called as controller_manager calls it, and an arm to move.
#ifndef PLUGIN__CONTROLLER_UNDER_TEST_HPP_
#define PLUGIN__CONTROLLER_UNDER_TEST_HPP_

#include <Eigen/Cholesky>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <hardware_interface/loaned_command_interface.hpp>
#include <hardware_interface/loaned_state_interface.hpp>
#include <rclcpp/rclcpp.hpp>

#include "cartesian_controller.hpp"
#include "test_arm.hpp"

namespace serl_impedance_controller::test
{

namespace hw = hardware_interface;
using Parameters = std::vector<rclcpp::Parameter>;

/// What has no default, and gains with which the arm is well damped.
inline Parameters usual_parameters()
{
  return {
    {"joints", arm().joints},
    {"base_frame", "arm_base"},
    {"tcp_frame", "tool"},
    {"gravity_compensation", true},
    {"torque_rate", std::vector<double>{1000.0}},
    {"profiles.compliance.damping_kind", "ratio"},
    {"profiles.compliance.smoothing", 0.02},
    {"profiles.compliance.nullspace_damping", std::vector<double>{3.0}},
    {"profiles.precision.damping_kind", "ratio"},
    {"profiles.precision.stiffness", std::vector<double>{3000.0, 3000.0, 3000.0, 250.0, 250.0, 250.0}}};
}

/// The usual parameters with some replaced or added.
inline Parameters with(const Parameters & changes)
{
  Parameters all = usual_parameters();
  for (const auto & change : changes) {
    bool replaced = false;
    for (auto & parameter : all) {
      if (parameter.get_name() == change.get_name()) {
        parameter = change;
        replaced = true;
      }
    }
    if (!replaced) {
      all.push_back(change);
    }
  }
  return all;
}

/// Opens what the tests look at.
class OpenController : public CartesianController
{
public:
  ArmControl & control() {return *control_;}
};

class ControllerUnderTest
{
public:
  static constexpr unsigned kRate = 1000;                  // [Hz]
  static constexpr std::int64_t kPeriod = 1000000;         // [ns]

  explicit ControllerUnderTest(
    const Parameters & parameters = usual_parameters(), const std::string & description = urdf())
  {
    controller_interface::ControllerInterfaceParams params;
    params.controller_name = "cartesian_controller";
    params.robot_description = description;
    params.update_rate = params.controller_manager_update_rate = kRate;
    params.node_options = rclcpp::NodeOptions(controller.define_custom_node_options()).parameter_overrides(parameters);
    started = controller.init(params) == controller_interface::return_type::OK;
    if (started) {
      executor.add_node(controller.get_node()->get_node_base_interface());
    }
    plant.q = bent_posture();
    model.update(plant);
  }

  ~ControllerUnderTest()
  {
    if (started) {
      executor.remove_node(controller.get_node()->get_node_base_interface());
    }
    controller.release_interfaces();
  }

  /// State after the transition.
  std::string configure() {return controller.configure().label();}

  std::string activate()
  {
    make_interfaces();
    return controller.get_node()->activate().label();
  }

  std::string deactivate() {return controller.get_node()->deactivate().label();}

  /// Ready to tick. Throws if anything fails.
  void start()
  {
    if (!started || configure() != "inactive" || activate() != "active") {
      throw std::runtime_error("the controller did not start");
    }
  }

  rclcpp::Time now() const {return rclcpp::Time(time, RCL_ROS_TIME);}

  /// Read, update, and let the arm move under the torque (and `pushed`) for a period.
  const Eigen::VectorXd & tick()
  {
    time += kPeriod;
    show_joints();
    controller.update(now(), rclcpp::Duration(std::chrono::nanoseconds(kPeriod)));
    read_torque();
    if (moves) {
      const double period = 1e-9 * static_cast<double>(kPeriod);
      model.update(plant);
      const Eigen::VectorXd all =
        torque + plant.jacobian.transpose() * pushed - plant.coriolis - plant.gravity;
      plant.dq += period * plant.mass.ldlt().solve(all);
      plant.q += period * plant.dq;
      model.update(plant);
    }
    return torque;
  }

  void ticks(int count)
  {
    for (int i = 0; i < count; ++i) {
      tick();
    }
  }

  void read_torque()
  {
    for (std::size_t i = 0; i < commands.size(); ++i) {
      torque[static_cast<Eigen::Index>(i)] = commands[i]->get_optional().value();
    }
  }

  /// The measured pose, moved along x, stamped now.
  PoseTarget target(double x) const
  {
    PoseTarget t;
    t.pose = plant.pose;
    t.pose.position.x() += x;
    t.stamp = now().seconds();
    t.frame = frame_hash("arm_base");
    return t;
  }

  void show_joints()
  {
    for (Eigen::Index i = 0; i < kJoints; ++i) {
      const auto k = static_cast<std::size_t>(i);
      const auto count = static_cast<std::size_t>(kJoints);
      static_cast<void>(states[k]->set_value(plant.q[i]));
      static_cast<void>(states[count + k]->set_value(plant.dq[i]));
    }
  }

  bool set(const rclcpp::Parameter & parameter, std::string * reason = nullptr)
  {
    const auto result = controller.get_node()->set_parameter(parameter);
    if (reason != nullptr) {
      *reason = result.reason;
    }
    return result.successful;
  }

  struct Ros   // before what needs it
  {
    Ros()
    {
      if (!rclcpp::ok()) {
        rclcpp::init(0, nullptr);
      }
    }
  } ros;
  OpenController controller;
  rclcpp::executors::SingleThreadedExecutor executor;
  bool started = false;
  bool moves = true;
  std::int64_t time = 1000000000000;  // [ns]

  RobotModel model{urdf(), arm()};
  ArmSample plant{kJoints};
  Vector6 pushed = Vector6::Zero();   // wrench of the surroundings at the tcp, base axes
  Eigen::VectorXd torque = Eigen::VectorXd::Zero(kJoints);
  std::vector<hw::StateInterface::SharedPtr> states;      // in the order the controller asked for
  std::vector<hw::CommandInterface::SharedPtr> commands;

private:
  template <typename Interface>
  static typename Interface::SharedPtr make(const std::string & name)
  {
    const auto slash = name.find('/');
    hw::InterfaceInfo info;
    info.name = name.substr(slash + 1);
    info.data_type = "double";
    info.initial_value = "0.0";
    return std::make_shared<Interface>(hw::InterfaceDescription(name.substr(0, slash), info));
  }

  void make_interfaces()
  {
    controller.release_interfaces();
    states.clear();
    commands.clear();
    std::vector<hw::LoanedStateInterface> loaned_states;
    std::vector<hw::LoanedCommandInterface> loaned_commands;
    for (const auto & name : controller.state_interface_configuration().names) {
      states.push_back(make<hw::StateInterface>(name));
      loaned_states.emplace_back(hw::StateInterface::ConstSharedPtr(states.back()), nullptr);
    }
    for (const auto & name : controller.command_interface_configuration().names) {
      commands.push_back(make<hw::CommandInterface>(name));
      loaned_commands.emplace_back(commands.back(), nullptr);
    }
    show_joints();
    controller.assign_interfaces(std::move(loaned_commands), std::move(loaned_states));
  }
};

}  // namespace serl_impedance_controller::test

#endif  // PLUGIN__CONTROLLER_UNDER_TEST_HPP_
