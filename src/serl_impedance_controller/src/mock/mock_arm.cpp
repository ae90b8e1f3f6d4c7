// SPDX-License-Identifier: Apache-2.0
#include "mock_arm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <unordered_map>

#include <hardware_interface/lexical_casts.hpp>
#include <hardware_interface/types/hardware_interface_type_values.hpp>
#include <pluginlib/class_list_macros.hpp>

namespace serl_impedance_controller
{

namespace hw = hardware_interface;

namespace
{

using Parameters = std::unordered_map<std::string, std::string>;

double number(const Parameters & parameters, const std::string & name, double otherwise)
{
  const auto found = parameters.find(name);
  if (found == parameters.end() || found->second.empty()) {
    return otherwise;
  }
  try {
    return hw::stod(found->second);
  } catch (const std::exception &) {
    throw std::invalid_argument("parameter " + name + " is '" + found->second + "', which is no number");
  }
}

const hw::InterfaceInfo * find(const std::vector<hw::InterfaceInfo> & interfaces, const std::string & name)
{
  const auto found = std::find_if(
    interfaces.begin(), interfaces.end(), [&name](const auto & one) {return one.name == name;});
  return found == interfaces.end() ? nullptr : &*found;
}

SimulatedJoint simulated(const hw::ComponentInfo & joint, const hw::HardwareInfo & info)
{
  const auto * position = find(joint.state_interfaces, hw::HW_IF_POSITION);
  if (find(joint.command_interfaces, hw::HW_IF_EFFORT) == nullptr || position == nullptr) {
    const std::string needs = "needs the command interface effort and the state interface position";
    throw std::invalid_argument("joint '" + joint.name + "' " + needs);
  }
  SimulatedJoint simulated;
  simulated.name = joint.name;
  simulated.armature = number(joint.parameters, "armature", 0.0);
  simulated.damping = number(joint.parameters, "damping", 0.0);
  simulated.friction = number(joint.parameters, "friction", 0.0);
  simulated.position = number({{"initial_value", position->initial_value}}, "initial_value", 0.0);
  const auto limits = info.limits.find(joint.name);
  if (limits != info.limits.end()) {
    if (limits->second.has_position_limits) {
      simulated.lower = limits->second.min_position;
      simulated.upper = limits->second.max_position;
    }
    if (limits->second.has_effort_limits) {
      simulated.effort_limit = limits->second.max_effort;
    }
  }
  return simulated;
}

}  // namespace

MockArm::CallbackReturn MockArm::on_init(const hw::HardwareComponentInterfaceParams & params)
{
  if (SystemInterface::on_init(params) != CallbackReturn::SUCCESS) {
    return CallbackReturn::ERROR;
  }
  try {
    std::vector<SimulatedJoint> joints;
    for (const auto & joint : info_.joints) {
      joints.push_back(simulated(joint, info_));
    }
    if (joints.empty()) {
      throw std::invalid_argument("it has no joints");
    }
    const auto compensation = info_.hardware_parameters.find("gravity_compensation");
    const bool compensates =
      compensation != info_.hardware_parameters.end() && hw::parse_bool(compensation->second);
    const double two_cycles = info_.rw_rate > 0 ? 2.0 / info_.rw_rate : 0.002;
    longest_cycle_ = number(info_.hardware_parameters, "longest_cycle", two_cycles);
    if (!(longest_cycle_ > 0.0 && longest_cycle_ <= 0.1)) {
      throw std::invalid_argument("longest_cycle has to be above 0 and at most 0.1 s");
    }
    arm_ = std::make_unique<RigidBodyArm>(info_.original_xml, joints, compensates);
    command_ = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(joints.size()));
  } catch (const std::exception & error) {
    RCLCPP_ERROR(get_logger(), "MockArm '%s': %s", info_.name.c_str(), error.what());
    return CallbackReturn::ERROR;
  }
  return CallbackReturn::SUCCESS;
}

MockArm::CallbackReturn MockArm::on_configure(const rclcpp_lifecycle::State &)
{
  const auto state = [this](const std::string & name) -> hw::StateInterface::SharedPtr {
      return has_state(name) ? get_state_interface_handle(name) : nullptr;
    };
  interfaces_.clear();
  for (const auto & joint : info_.joints) {
    const std::string prefix = joint.name + "/";
    interfaces_.push_back(
      {get_command_interface_handle(prefix + hw::HW_IF_EFFORT), state(prefix + hw::HW_IF_POSITION),
        state(prefix + hw::HW_IF_VELOCITY), state(prefix + hw::HW_IF_EFFORT)});
  }
  arm_->restart();
  brake();
  return CallbackReturn::SUCCESS;
}

MockArm::CallbackReturn MockArm::on_activate(const rclcpp_lifecycle::State &)
{
  brake();
  return CallbackReturn::SUCCESS;
}

MockArm::CallbackReturn MockArm::on_deactivate(const rclcpp_lifecycle::State &)
{
  claimed_ = false;
  brake();
  return CallbackReturn::SUCCESS;
}

bool MockArm::is_own_effort(const std::string & interface) const
{
  return std::any_of(
    info_.joints.begin(), info_.joints.end(), [&interface](const auto & joint) {
      return interface == joint.name + "/" + hw::HW_IF_EFFORT;
    });
}

MockArm::return_type MockArm::prepare_command_mode_switch(
  const std::vector<std::string> & start, const std::vector<std::string> &)
{
  const auto own = [this](const std::string & interface) {return is_own_effort(interface);};
  const auto claims = static_cast<std::size_t>(std::count_if(start.begin(), start.end(), own));
  if (claims != 0 && claims != info_.joints.size()) {
    RCLCPP_ERROR(
      get_logger(), "MockArm '%s': a controller has to command the effort of all %zu joints, not of %zu",
      info_.name.c_str(), info_.joints.size(), claims);
    return return_type::ERROR;
  }
  return return_type::OK;
}

MockArm::return_type MockArm::perform_command_mode_switch(
  const std::vector<std::string> & start, const std::vector<std::string> & stop)
{
  const auto own = [this](const std::string & interface) {return is_own_effort(interface);};
  const bool starts = std::any_of(start.begin(), start.end(), own);
  if (starts || std::any_of(stop.begin(), stop.end(), own)) {
    claimed_ = starts;
    brake();
  }
  return return_type::OK;
}

void MockArm::brake()
{
  driven_ = false;
  arm_->stop();
  for (auto & joint : interfaces_) {  // an old torque must not drive the arm when the next controller begins
    std::ignore = joint.command->set_value(std::numeric_limits<double>::quiet_NaN(), false);
  }
}

void MockArm::show(const hw::StateInterface::SharedPtr & state, double value)
{
  if (state) {
    std::ignore = state->set_value(value, false);
  }
}

MockArm::return_type MockArm::read(const rclcpp::Time &, const rclcpp::Duration &)
{
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    const auto joint = static_cast<Eigen::Index>(i);
    show(interfaces_[i].position, arm_->position()[joint]);
    show(interfaces_[i].velocity, arm_->velocity()[joint]);
    show(interfaces_[i].effort, arm_->effort()[joint]);
  }
  return return_type::OK;
}

/// Whether there is a torque to drive with.
bool MockArm::take_commands()
{
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    double value = std::numeric_limits<double>::quiet_NaN();
    if (!interfaces_[i].command->get_value(value, false)) {
      return driven_;  // being written at this moment: the last one
    }
    if (!std::isfinite(value)) {
      return false;
    }
    command_[static_cast<Eigen::Index>(i)] = value;
  }
  return true;
}

MockArm::return_type MockArm::write(const rclcpp::Time &, const rclcpp::Duration & period)
{
  if (!claimed_) {
    return return_type::OK;
  }
  if (!take_commands()) {
    if (driven_) {
      RCLCPP_ERROR(get_logger(), "MockArm '%s': a commanded torque is not finite; braking", info_.name.c_str());
      brake();
      return return_type::ERROR;
    }
    return return_type::OK;
  }
  driven_ = true;
  arm_->step(command_, std::clamp(period.seconds(), 0.0, longest_cycle_));
  return return_type::OK;
}

}  // namespace serl_impedance_controller

PLUGINLIB_EXPORT_CLASS(serl_impedance_controller::MockArm, hardware_interface::SystemInterface)
