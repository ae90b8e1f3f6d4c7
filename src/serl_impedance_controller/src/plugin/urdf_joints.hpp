// SPDX-License-Identifier: Apache-2.0
/// \file
/// The wanted joints out of a robot_description, as a pinocchio model. Include it before anything else of pinocchio.
#ifndef PLUGIN__URDF_JOINTS_HPP_
#define PLUGIN__URDF_JOINTS_HPP_

#include <pinocchio/fwd.hpp>

#include <string>
#include <vector>

#include <pinocchio/multibody/model.hpp>

namespace serl_impedance_controller
{

/// Names with commas between them.
std::string listed(const std::vector<std::string> & names);

/// Model of a robot_description in which all joints but those named are locked at their zero position.
///
/// \throws std::invalid_argument  not a URDF, or a joint that it has not
pinocchio::Model model_of_joints(const std::string & urdf, const std::vector<std::string> & joints);

/// Where a joint's value lies in pinocchio's vectors.
struct JointAxis
{
  int q;
  int v;
  bool circle;  ///< a joint without limits is kept as cosine and sine

  /// Put a joint's position into pinocchio's configuration.
  void set_position(double position, Eigen::VectorXd & configuration) const;
};

/// Axes of the joints, in the order of their names.
///
/// \throws std::invalid_argument  a joint that has more than one axis
std::vector<JointAxis> axes_of(const pinocchio::Model & model, const std::vector<std::string> & joints);

}  // namespace serl_impedance_controller

#endif  // PLUGIN__URDF_JOINTS_HPP_
