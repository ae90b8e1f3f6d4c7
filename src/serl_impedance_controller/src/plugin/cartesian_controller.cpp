// SPDX-License-Identifier: Apache-2.0
#include "cartesian_controller.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include <hardware_interface/types/hardware_interface_type_values.hpp>
#include <pluginlib/class_list_macros.hpp>

#include "serl_impedance_controller/describe.hpp"

namespace serl_impedance_controller
{

namespace hw = hardware_interface;
using controller_interface::interface_configuration_type;

namespace
{

constexpr int kMostMissedReads = 10;  // ticks in a row that may go by with joint values of the tick before

std::vector<std::string> interfaces_of(const std::vector<std::string> & joints, const std::string & kind)
{
  std::vector<std::string> names;
  for (const auto & joint : joints) {
    names.push_back(joint + "/" + kind);
  }
  return names;
}

void append(std::vector<std::string> & names, const std::vector<std::string> & more)
{
  names.insert(names.end(), more.begin(), more.end());
}

void apply_parameters(const Params & params, const ArmLimits & limits, ArmControl & control, GripperState & gripper)
{
  if (const auto error = control.set(make_settings(params, limits))) {
    throw std::invalid_argument(describe(*error));
  }
  gripper.set_timeout(params.gripper_timeout);
}

}  // namespace

controller_interface::InterfaceConfiguration CartesianController::command_interface_configuration() const
{
  return {interface_configuration_type::INDIVIDUAL, interfaces_of(params_.joints, hw::HW_IF_EFFORT)};
}

controller_interface::InterfaceConfiguration CartesianController::state_interface_configuration() const
{
  auto names = interfaces_of(params_.joints, hw::HW_IF_POSITION);
  append(names, interfaces_of(params_.joints, hw::HW_IF_VELOCITY));
  if (params_.external_wrench.effort == "measured") {
    append(names, interfaces_of(params_.joints, hw::HW_IF_EFFORT));
  }
  if (external_wrench_) {
    append(names, external_wrench_->interfaces());
  }
  return {interface_configuration_type::INDIVIDUAL, names};
}

CartesianController::CallbackReturn CartesianController::on_init()
{
  try {
    listener_ = std::make_shared<cartesian_controller::ParamListener>(get_node());
  } catch (const std::exception & error) {
    RCLCPP_ERROR(
      get_node()->get_logger(), "Parameters: %s. joints, base_frame, tcp_frame and gravity_compensation must be given.",
      error.what());
    return CallbackReturn::ERROR;
  }
  return CallbackReturn::SUCCESS;
}

CartesianController::CallbackReturn CartesianController::on_configure(const rclcpp_lifecycle::State &)
{
  try {
    params_ = listener_->get_params();
    build_arm();
    connect_parameters();
    connect_topics();
  } catch (const std::exception & error) {
    RCLCPP_ERROR(get_node()->get_logger(), "Not configured: %s", error.what());
    release_arm();
    return CallbackReturn::FAILURE;
  }
  RCLCPP_INFO(
    get_node()->get_logger(), "%zu joints, tcp '%s' in '%s', %s gravity compensation, profile '%s', mode '%s'",
    joints(), params_.tcp_frame.c_str(), params_.base_frame.c_str(), params_.gravity_compensation ? "with" : "without",
    params_.profile.c_str(), params_.mode.c_str());
  return CallbackReturn::SUCCESS;
}

void CartesianController::build_arm()
{
  ArmDescription arm;
  arm.joints = params_.joints;
  arm.base_frame = params_.base_frame;
  arm.tcp_frame = params_.tcp_frame;
  arm.gravity = Eigen::Map<const Vector3>(params_.gravity.data());
  model_ = std::make_unique<RobotModel>(get_robot_description(), arm);
  const Eigen::Index count = model_->joints();

  if (get_update_rate() == 0) {
    throw std::invalid_argument("update_rate is 0; set the controller manager's update_rate");
  }
  limits_.frequency = get_update_rate();
  limits_.effort = model_->effort_limits();
  limits_.low = model_->lower_limits();
  limits_.high = model_->upper_limits();
  limits_.speed = model_->speed_limits();

  control_ = ArmControl::make(count, frame_hash(params_.base_frame), frame_hash(params_.tcp_frame));
  if (!control_) {
    throw std::invalid_argument(
      "joints: the law is built for " + std::string(ArmControl::kJointNumbers) + " joints, not for " +
      std::to_string(count));
  }
  external_wrench_ = std::make_unique<ExternalWrench>(params_.external_wrench, *model_, params_.tcp_frame);
  gripper_ = std::make_shared<GripperState>(params_.gripper_timeout);
  state_publisher_ = std::make_unique<StatePublisher>(
    *get_node(), count, params_.base_frame, params_.tcp_frame,
    static_cast<unsigned>(std::lround(limits_.frequency / params_.state_rate)));

  sample_ = std::make_unique<ArmSample>(count);
  bias_ = torque_ = physical_torque_ = Eigen::VectorXd::Zero(count);
  clock_ = get_node()->get_clock();
}

void CartesianController::connect_parameters()
{
  for (const auto & name : params_.profile_names) {  // those that are not in use, too
    Params other = params_;
    other.profile = name;
    make_settings(other, limits_);
  }
  rotor_inertia(params_, model_->joints());
  apply_parameters(params_, limits_, *control_, *gripper_);
  // The callbacks hold what they use: one may still run while the controller is being cleaned up.
  on_set_ = get_node()->add_on_set_parameters_callback(
    [params = params_, limits = limits_](const std::vector<rclcpp::Parameter> & changes) {
      rcl_interfaces::msg::SetParametersResult result;
      result.successful = true;
      for (const auto & change : changes) {
        result.reason = reason_to_refuse(change, params, limits);
        if (!result.reason.empty()) {
          result.successful = false;
          break;
        }
      }
      return result;
    });
  post_set_ = get_node()->add_post_set_parameters_callback(
    [listener = listener_, limits = limits_, control = control_, gripper = gripper_,
    logger = get_node()->get_logger()](const std::vector<rclcpp::Parameter> &) {
      try {
        apply_parameters(listener->get_params(), limits, *control, *gripper);
      } catch (const std::exception & error) {
        RCLCPP_ERROR(logger, "Parameters not applied: %s", error.what());
      }
    });
}

void CartesianController::connect_topics()
{
  const auto node = get_node();
  targets_ = std::make_unique<TargetInputs>(*node, control_);
  gripper_subscription_ = node->create_subscription<std_msgs::msg::Float64>(
    "gripper/state", rclcpp::QoS(1), [gripper = gripper_](const std_msgs::msg::Float64 & message) {
      gripper->receive(message.data);
    });
  health_ = std::make_shared<HealthReporter>(*node, control_);
  health_->start();
}

CartesianController::CallbackReturn CartesianController::on_activate(const rclcpp_lifecycle::State &)
{
  missed_reads_ = kMostMissedReads;  // nothing has been read that could stand in
  if (!read_joints() || !sample_->q.allFinite() || !sample_->dq.allFinite()) {
    RCLCPP_ERROR(
      get_node()->get_logger(), "Not activated: a joint's position or velocity is not a number; check the hardware.");
    return CallbackReturn::FAILURE;
  }
  try {
    external_wrench_->assign(state_interfaces_);
  } catch (const std::exception & error) {
    RCLCPP_ERROR(get_node()->get_logger(), "Not activated: %s", error.what());
    return CallbackReturn::FAILURE;
  }
  if (const std::string reason = unstable_gains(); !reason.empty() && params_.unstable_gains == "refuse") {
    RCLCPP_ERROR(get_node()->get_logger(), "Not activated (unstable_gains is 'refuse'): %s", reason.c_str());
    return CallbackReturn::FAILURE;
  }
  control_->activate();
  external_wrench_->reset();
  torque_.setZero();
  return CallbackReturn::SUCCESS;
}

/// The first profile that is unstable with the arm where it is, in words; empty if none is. Each that is unstable or close
/// to it is logged with its figures.
std::string CartesianController::unstable_gains()
{
  std::string unstable;
  model_->update(*sample_);
  ArmSample turning = *sample_;
  turning.mass.diagonal() += rotor_inertia(params_, model_->joints());
  Params params = listener_->get_params();
  for (const auto & name : params.profile_names) {
    params.profile = name;
    const Stability stability = control_->stability(make_settings(params, limits_), turning);
    const std::string text = describe(stability, limits_.frequency);
    if (!text.empty()) {
      RCLCPP_WARN(get_node()->get_logger(), "Profile '%s': %s", name.c_str(), text.c_str());
    }
    if (!stability.stable && unstable.empty()) {
      unstable = "profile '" + name + "': " + text;
    }
  }
  return unstable;
}

CartesianController::CallbackReturn CartesianController::on_deactivate(const rclcpp_lifecycle::State &)
{
  // What holds the arm's own weight if nobody else does, and nothing on top of it.
  read_joints();
  sample_->dq.setZero();
  model_->update(*sample_);
  torque_.setZero();
  if (params_.gravity_compensation && sample_->gravity.allFinite()) {
    torque_ = sample_->gravity;
  }
  write_torque(torque_);
  external_wrench_->release();
  return CallbackReturn::SUCCESS;
}

CartesianController::CallbackReturn CartesianController::on_cleanup(const rclcpp_lifecycle::State &)
{
  release_arm();
  return CallbackReturn::SUCCESS;
}

void CartesianController::release_arm()
{
  on_set_.reset();
  post_set_.reset();
  targets_.reset();
  gripper_subscription_.reset();
  health_.reset();
  state_publisher_.reset();
  external_wrench_.reset();
  control_.reset();
  gripper_.reset();
  model_.reset();
}

controller_interface::return_type CartesianController::update(
  const rclcpp::Time & time, const rclcpp::Duration & period)
{
  const rclcpp::Time now = clock_time(time);
  read_joints();
  model_->update(*sample_);
  step_external_wrench(period.seconds());  // with the torque of the tick before, which brought the arm here
  bias_ = sample_->coriolis;
  if (params_.gravity_compensation) {
    bias_ += sample_->gravity;
  }
  torque_ = control_->tick(*sample_, bias_, now.seconds());
  write_torque(torque_);
  if (state_publisher_->due()) {
    state_publisher_->publish(
      now, *sample_, external_wrench_->value(*sample_), torque_, gripper_->opening(), control_->limited_target(),
      control_->fault(), control_->senders());
  }
  return controller_interface::return_type::OK;
}

/// Targets are stamped by the ROS clock; a controller manager in real time ticks by a steady one.
rclcpp::Time CartesianController::clock_time(const rclcpp::Time & time) const
{
  return time.get_clock_type() == RCL_ROS_TIME ? time : clock_->now();
}

/// Joint values into the sample. A value that is being written by the hardware at this moment keeps that of the tick
/// before; after too many of those in a row the sample becomes NaN, which the law latches as a fault.
bool CartesianController::read_joints()
{
  const std::size_t count = joints();
  bool complete = true;
  for (std::size_t i = 0; i < count; ++i) {
    const auto position = state_interfaces_[i].get_optional();
    const auto velocity = state_interfaces_[count + i].get_optional();
    if (position && velocity) {
      sample_->q[static_cast<Eigen::Index>(i)] = *position;
      sample_->dq[static_cast<Eigen::Index>(i)] = *velocity;
    } else {
      complete = false;
    }
  }
  missed_reads_ = complete ? 0 : missed_reads_ + 1;
  if (missed_reads_ > kMostMissedReads) {
    sample_->dq.setConstant(std::numeric_limits<double>::quiet_NaN());
  }
  return complete;
}

void CartesianController::write_torque(const Eigen::VectorXd & torque)
{
  for (std::size_t i = 0; i < joints(); ++i) {
    // A refusal means that the hardware reads at this moment; it then gets the next tick's torque.
    static_cast<void>(command_interfaces_[i].set_value(torque[static_cast<Eigen::Index>(i)]));
  }
}

void CartesianController::step_external_wrench(double period)
{
  const std::size_t count = joints();
  if (params_.external_wrench.effort == "measured") {
    for (std::size_t i = 0; i < count; ++i) {
      if (const auto effort = state_interfaces_[2 * count + i].get_optional()) {
        physical_torque_[static_cast<Eigen::Index>(i)] = *effort;
      }
    }
  } else {
    physical_torque_ = torque_;
    if (!params_.gravity_compensation) {
      physical_torque_ += sample_->gravity;  // the arm adds it itself
    }
  }
  external_wrench_->step(*sample_, physical_torque_, period);
}

}  // namespace serl_impedance_controller

PLUGINLIB_EXPORT_CLASS(serl_impedance_controller::CartesianController, controller_interface::ControllerInterface)
