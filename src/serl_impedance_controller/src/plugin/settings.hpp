// SPDX-License-Identifier: Apache-2.0
/// \file
/// From ROS parameters to the control's settings.
#ifndef PLUGIN__SETTINGS_HPP_
#define PLUGIN__SETTINGS_HPP_

#include <string>
#include <vector>

#include <rclcpp/parameter.hpp>

#include "arm_control.hpp"
#include "serl_impedance_controller/cartesian_controller_parameters.hpp"

namespace serl_impedance_controller
{

using Params = cartesian_controller::Params;

/// What a parameter's length and value are held against.
struct ArmLimits
{
  Eigen::VectorXd effort;     ///< of robot_description, per joint [Nm]; 0: none stated
  Eigen::VectorXd low;        ///< lower position limits there, per joint [rad]; -infinity: none
  Eigen::VectorXd high;       ///< upper ones
  Eigen::VectorXd speed;      ///< velocity limits there [rad/s]; infinity: none
  double frequency = 1000.0;  ///< of the controller [Hz]
};

/// Settings of the active profile. Quantities "per ms" become quantities per tick.
///
/// \throws std::invalid_argument  names the parameter that does not fit the arm or the other parameters
Settings make_settings(const Params & params, const ArmLimits & limits);

/// Inertia of the rotors as the joints feel it, per joint [kg m^2]; zero where none is given.
///
/// \throws std::invalid_argument  it is neither one value nor one per joint
Eigen::VectorXd rotor_inertia(const Params & params, Eigen::Index joints);

/// Why a change of a parameter must be refused, beyond what its own validator knows; empty if it need not.
std::string reason_to_refuse(const rclcpp::Parameter & changed, const Params & params, const ArmLimits & limits);

}  // namespace serl_impedance_controller

#endif  // PLUGIN__SETTINGS_HPP_
