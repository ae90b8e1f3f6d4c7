// SPDX-License-Identifier: Apache-2.0
/// \file
/// Validators of cartesian_controller_parameters.yaml. The ranges themselves are the law's (config.hpp).
#ifndef PLUGIN__PARAMETER_RANGES_HPP_
#define PLUGIN__PARAMETER_RANGES_HPP_

#include <cmath>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <rclcpp/parameter.hpp>
#include <tl/expected.hpp>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/describe.hpp"
#include "serl_impedance_controller/fault.hpp"

namespace serl_impedance_controller
{

using Verdict = tl::expected<void, std::string>;

namespace detail
{

/// The law's field of a parameter's name. One joint stands for all.
struct LawField
{
  double TaskConfig::* scalar = nullptr;
  Vector6 TaskConfig::* six = nullptr;
  JointVector<1> Config<1>::* joint = nullptr;
};

inline const std::map<std::string, LawField> & law_fields()
{
  using C = Config<1>;
  static const std::map<std::string, LawField> fields = {
    {"smoothing", {&C::smoothing, nullptr, nullptr}},
    {"pose_timeout", {&C::pose_timeout, nullptr, nullptr}},
    {"wrench_timeout", {&C::wrench_timeout, nullptr, nullptr}},
    {"pose_linear_speed", {&C::pose_linear_speed, nullptr, nullptr}},
    {"pose_angular_speed", {&C::pose_angular_speed, nullptr, nullptr}},
    {"joint_margin", {&C::joint_margin, nullptr, nullptr}},
    {"oscillation_speed", {&C::oscillation_speed, nullptr, nullptr}},
    {"delay", {&C::delay, nullptr, nullptr}},
    {"wrench_linear_speed", {&C::wrench_linear_speed, nullptr, nullptr}},
    {"wrench_angular_speed", {&C::wrench_angular_speed, nullptr, nullptr}},
    {"workspace_stiffness", {&C::workspace_stiffness, nullptr, nullptr}},
    {"workspace_damping", {&C::workspace_damping, nullptr, nullptr}},
    {"workspace_rotational_stiffness", {&C::workspace_rotational_stiffness, nullptr, nullptr}},
    {"workspace_rotational_damping", {&C::workspace_rotational_damping, nullptr, nullptr}},
    {"workspace_max_rotation", {&C::workspace_max_rotation, nullptr, nullptr}},
    {"workspace_margin", {&C::workspace_margin, nullptr, nullptr}},
    {"workspace_rotation_margin", {&C::workspace_rotation_margin, nullptr, nullptr}},
    {"workspace_patience", {&C::workspace_patience, nullptr, nullptr}},
    {"stiffness", {nullptr, &C::stiffness, nullptr}},
    {"damping", {nullptr, &C::damping, nullptr}},
    {"damping_ratio", {nullptr, &C::damping_ratio, nullptr}},
    {"clip_pos", {nullptr, &C::clip_pos, nullptr}},
    {"clip_neg", {nullptr, &C::clip_neg, nullptr}},
    {"wrench_limit", {nullptr, &C::wrench_limit, nullptr}},
    {"wrench_damping", {nullptr, &C::wrench_damping, nullptr}},
    {"wrench_stiffness", {nullptr, &C::wrench_stiffness, nullptr}},
    {"nullspace_stiffness", {nullptr, nullptr, &C::nullspace_stiffness}},
    {"nullspace_damping", {nullptr, nullptr, &C::nullspace_damping}},
    {"torque_rate", {nullptr, nullptr, &C::torque_rate}},
    {"torque_limit", {nullptr, nullptr, &C::torque_limit}},
    {"joint_speed", {nullptr, nullptr, &C::joint_speed}},
  };
  return fields;
}

inline Verdict verdict(const std::optional<ConfigError> & error, const std::string & prefix)
{
  if (error) {
    return tl::make_unexpected(describe(*error, prefix));
  }
  return {};
}

}  // namespace detail

/// The parameter is inside the range that the law has for the field of the same name.
inline Verdict in_law_range(const rclcpp::Parameter & parameter)
{
  const std::string & name = parameter.get_name();
  const auto dot = name.rfind('.');
  const std::string prefix = dot == std::string::npos ? "" : name.substr(0, dot + 1);
  const detail::LawField field = detail::law_fields().at(name.substr(prefix.size()));
  Config<1> config;
  if (field.scalar != nullptr) {
    config.*field.scalar = parameter.as_double();
    return detail::verdict(validate(config), prefix);
  }
  const std::vector<double> values = parameter.as_double_array();
  if (field.six != nullptr) {
    if (values.size() != 6) {
      return tl::make_unexpected(
        name + " has " + std::to_string(values.size()) + " values and needs 6: x, y, z, rx, ry, rz");
    }
    config.*field.six = Eigen::Map<const Vector6>(values.data());
    return detail::verdict(validate(config), prefix);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    (config.*field.joint)[0] = values[i];
    if (auto error = validate(config)) {
      error->index = static_cast<int>(i);
      return detail::verdict(error, prefix);
    }
  }
  return {};
}

/// Empty, or the low and the high corner of a box.
inline Verdict is_box(const rclcpp::Parameter & parameter)
{
  const std::vector<double> values = parameter.as_double_array();
  if (values.empty()) {
    return {};
  }
  if (values.size() != 6) {
    return tl::make_unexpected(
      parameter.get_name() + " has " + std::to_string(values.size()) +
      " values; it must be empty or six numbers, x y z of the low corner and then of the high one");
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const double low = values[i], high = values[i + 3];
    if (!std::isfinite(low) || !std::isfinite(high) || !(low < high)) {
      std::ostringstream text;
      text << parameter.get_name() << ": along " << "xyz"[i] << " the low corner is at " << low
           << " and the high one at " << high << "; the low one must be below the high one, both finite";
      return tl::make_unexpected(text.str());
    }
  }
  return {};
}

/// A unit quaternion.
inline Verdict is_orientation(const rclcpp::Parameter & parameter)
{
  const std::vector<double> values = parameter.as_double_array();
  if (values.size() != 4 || !is_unit(Eigen::Quaterniond(values.data()))) {
    return tl::make_unexpected(parameter.get_name() + " must be a unit quaternion: x, y, z, w");
  }
  return {};
}

}  // namespace serl_impedance_controller

#endif  // PLUGIN__PARAMETER_RANGES_HPP_
