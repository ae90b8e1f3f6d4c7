// SPDX-License-Identifier: Apache-2.0
/// \file
/// Kinematics and dynamics of an arm from its robot_description (pinocchio). No ROS.
#ifndef PLUGIN__ROBOT_MODEL_HPP_
#define PLUGIN__ROBOT_MODEL_HPP_

#include <memory>
#include <string>
#include <vector>

#include "arm_sample.hpp"

namespace serl_impedance_controller
{

/// Which part of a robot_description is the arm.
struct ArmDescription
{
  std::vector<std::string> joints;                  ///< names, in the controller's order
  std::string base_frame;                           ///< a link that does not move
  std::string tcp_frame;                            ///< a link that the joints move
  Vector3 gravity = Vector3(0.0, 0.0, -9.81);       ///< along the axes of the root link [m/s^2]
};

/// The arm's joints out of a robot_description; all other joints (fingers, a second arm) are locked at their zero
/// position, and what hangs on them counts as part of the links.
class RobotModel
{
public:
  /// \throws std::invalid_argument  not a URDF; a joint or link that it has not, a joint with more than one axis or not
  ///   between base and tcp. The text names it and what there is.
  RobotModel(const std::string & urdf, const ArmDescription & arm);
  ~RobotModel();
  RobotModel(RobotModel &&) noexcept;
  RobotModel & operator=(RobotModel &&) noexcept;

  /// Fill in pose, jacobian, mass, gravity and Coriolis torques for `sample.q` and `sample.dq`. Does not allocate.
  void update(ArmSample & sample);

  Eigen::Index joints() const;

  /// Effort limits of robot_description [Nm], in the order of the joints; 0 where it states none.
  const Eigen::VectorXd & effort_limits() const;

  /// Position limits of robot_description [rad], in the order of the joints; infinite where it states none.
  const Eigen::VectorXd & lower_limits() const;
  const Eigen::VectorXd & upper_limits() const;

  /// Velocity limits of robot_description [rad/s]; infinite where it states none.
  const Eigen::VectorXd & speed_limits() const;

  /// Pose of another link in the tcp frame.
  ///
  /// \throws std::invalid_argument  there is no such link, or it is not fixed to the tcp
  Pose fixed_in_tcp(const std::string & link) const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__ROBOT_MODEL_HPP_
