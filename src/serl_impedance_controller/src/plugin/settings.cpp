// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace serl_impedance_controller
{

namespace
{

constexpr double kMilliseconds = 1000.0;  // per second

/// One value for all joints, or one per joint.
Eigen::VectorXd per_joint(const std::string & name, const std::vector<double> & values, Eigen::Index joints)
{
  if (values.size() == 1) {
    return Eigen::VectorXd::Constant(joints, values[0]);
  }
  if (static_cast<Eigen::Index>(values.size()) != joints) {
    throw std::invalid_argument(
      name + " has " + std::to_string(values.size()) + " values; it needs one, or one for each of the " +
      std::to_string(joints) + " joints");
  }
  return Eigen::Map<const Eigen::VectorXd>(values.data(), joints);
}

Eigen::VectorXd torque_limits(const Params & params, const std::vector<double> & values, const ArmLimits & limits)
{
  Eigen::VectorXd torque = limits.effort;
  if (!values.empty()) {
    torque = per_joint("torque_limit", values, limits.effort.size());
  }
  for (Eigen::Index i = 0; i < torque.size(); ++i) {
    const std::string & joint = params.joints[static_cast<std::size_t>(i)];
    if (torque[i] <= 0.0) {
      throw std::invalid_argument(
        "torque_limit: robot_description states no effort limit for joint '" + joint + "'; set torque_limit");
    }
    if (limits.effort[i] > 0.0 && torque[i] > limits.effort[i]) {
      std::ostringstream text;
      text << "torque_limit[" << i << "] = " << torque[i] << " is above the effort limit " << limits.effort[i] <<
        " of joint '" << joint << "' in robot_description";
      throw std::invalid_argument(text.str());
    }
  }
  return torque;
}

/// Those of robot_description, or lower ones.
Eigen::VectorXd joint_speeds(const std::vector<double> & values, const ArmLimits & limits)
{
  return values.empty() ? limits.speed :
         Eigen::VectorXd(per_joint("joint_speed", values, limits.speed.size()).cwiseMin(limits.speed));
}

const Params::Profiles::MapProfileNames & profile_of(const Params & params, const std::string & name)
{
  const auto found = params.profiles.profile_names_map.find(name);
  if (found == params.profiles.profile_names_map.end()) {
    std::string known;
    for (const auto & other : params.profile_names) {
      known += (known.empty() ? "" : ", ") + other;
    }
    throw std::invalid_argument("profile: there is no '" + name + "'; profile_names has " + known);
  }
  return found->second;
}

Vector6 six_of(const std::vector<double> & values)
{
  return Eigen::Map<const Vector6>(values.data());  // the validator has counted them
}

void set_profile(const Params & params, const ArmLimits & limits, Settings & settings)
{
  const auto & profile = profile_of(params, params.profile);
  TaskConfig & task = settings.task;
  task.gain_frame = profile.gain_frame == "tcp" ? GainFrame::kTcp : GainFrame::kBase;
  task.stiffness = six_of(profile.stiffness);
  task.damping = six_of(profile.damping);
  task.damping_ratio = six_of(profile.damping_ratio);
  task.damping_kind = profile.damping_kind == "ratio" ? DampingKind::kRatio : DampingKind::kFixed;
  task.damped_velocity =
    profile.damped_velocity == "relative" ? DampedVelocity::kRelative : DampedVelocity::kMeasured;
  task.clip_pos = six_of(profile.clip_pos);
  task.clip_neg = six_of(profile.clip_neg);
  const double ms_per_tick = kMilliseconds / limits.frequency;
  task.smoothing = 1.0 - std::pow(1.0 - profile.smoothing, ms_per_tick);
  const std::string prefix = "profiles." + params.profile + ".";
  const Eigen::Index joints = limits.effort.size();
  settings.nullspace_stiffness = per_joint(prefix + "nullspace_stiffness", profile.nullspace_stiffness, joints);
  settings.nullspace_damping = per_joint(prefix + "nullspace_damping", profile.nullspace_damping, joints);
}

void set_workspace(const Params & params, TaskConfig & task)
{
  if (!params.workspace.empty()) {
    task.workspace_low = Eigen::Map<const Vector3>(params.workspace.data());
    task.workspace_high = Eigen::Map<const Vector3>(params.workspace.data() + 3);
  }
  task.workspace_orientation = Eigen::Quaterniond(params.workspace_orientation.data());  // xyzw; Eigen keeps it so
  task.workspace_max_rotation = params.workspace_max_rotation;
  task.workspace_stiffness = params.workspace_stiffness;
  task.workspace_damping = params.workspace_damping;
  task.workspace_rotational_stiffness = params.workspace_rotational_stiffness;
  task.workspace_rotational_damping = params.workspace_rotational_damping;
  task.workspace_margin = params.workspace_margin;
  task.workspace_rotation_margin = params.workspace_rotation_margin;
  task.workspace_patience = params.workspace_patience;
}

}  // namespace

Settings make_settings(const Params & params, const ArmLimits & limits)
{
  const Eigen::Index joints = limits.effort.size();
  Settings settings;
  settings.task.frequency = limits.frequency;
  set_profile(params, limits, settings);
  set_workspace(params, settings.task);
  settings.task.pose_linear_speed = params.pose_linear_speed;
  settings.task.pose_angular_speed = params.pose_angular_speed;
  settings.task.joint_margin = params.joint_margin;
  settings.task.oscillation_speed = params.oscillation_speed;
  settings.task.delay = params.delay;
  settings.joint_low = limits.low;
  settings.joint_high = limits.high;
  settings.joint_speed = joint_speeds(params.joint_speed, limits);
  settings.task.pose_timeout = params.pose_timeout;
  settings.task.wrench_timeout = params.wrench_timeout;
  settings.task.wrench_limit = six_of(params.wrench_limit);
  settings.task.wrench_damping = six_of(params.wrench_damping);
  settings.task.wrench_stiffness = six_of(params.wrench_stiffness);
  settings.task.wrench_linear_speed = params.wrench_linear_speed;
  settings.task.wrench_angular_speed = params.wrench_angular_speed;
  settings.torque_limit = torque_limits(params, params.torque_limit, limits);
  const double ms_per_tick = kMilliseconds / limits.frequency;
  settings.torque_rate = (per_joint("torque_rate", params.torque_rate, joints) * ms_per_tick).cwiseMin(1000.0);
  if (!params.nullspace_posture.empty()) {
    settings.nullspace_posture = per_joint("nullspace_posture", params.nullspace_posture, joints);
  }
  settings.mode = params.mode == "wrench" ? Mode::kWrench : Mode::kPose;
  settings.hold_when_stale = params.stale_target == "hold";
  return settings;
}

Eigen::VectorXd rotor_inertia(const Params & params, Eigen::Index joints)
{
  return params.rotor_inertia.empty() ? Eigen::VectorXd::Zero(joints) :
         per_joint("rotor_inertia", params.rotor_inertia, joints);
}

std::string reason_to_refuse(const rclcpp::Parameter & changed, const Params & params, const ArmLimits & limits)
{
  const std::string & name = changed.get_name();
  const auto ends_with = [&name](const std::string & tail) {
      return name.size() >= tail.size() && name.compare(name.size() - tail.size(), tail.size(), tail) == 0;
    };
  const bool string = changed.get_type() == rclcpp::ParameterType::PARAMETER_STRING;
  const bool array = changed.get_type() == rclcpp::ParameterType::PARAMETER_DOUBLE_ARRAY;
  const bool of_joints =
    name == "torque_rate" || name == "joint_speed" || ends_with(".nullspace_stiffness") || ends_with(".nullspace_damping");
  try {
    if (name == "profile" && string) {
      profile_of(params, changed.as_string());
    } else if (name == "torque_limit" && array) {
      torque_limits(params, changed.as_double_array(), limits);
    } else if (array && of_joints && !(name == "joint_speed" && changed.as_double_array().empty())) {
      per_joint(name, changed.as_double_array(), limits.effort.size());
    }
  } catch (const std::invalid_argument & error) {
    return error.what();
  }
  return "";
}

}  // namespace serl_impedance_controller
