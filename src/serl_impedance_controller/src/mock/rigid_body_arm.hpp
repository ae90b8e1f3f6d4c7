// SPDX-License-Identifier: Apache-2.0
/// \file
/// Rigid-body dynamics of an arm in free space, from its robot_description (pinocchio). No ROS.
#ifndef MOCK__RIGID_BODY_ARM_HPP_
#define MOCK__RIGID_BODY_ARM_HPP_

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <Eigen/Core>

namespace serl_impedance_controller
{

/// One joint that moves: where it starts, and what a robot_description does not say of its drive.
struct SimulatedJoint
{
  std::string name;
  double position = 0.0;        ///< at the start [rad] or [m]
  double armature = 0.0;        ///< rotor inertia seen at the joint [kg m^2]
  double damping = 0.0;         ///< viscous friction [Nms/rad]
  double friction = 0.0;        ///< Coulomb friction [Nm]
  double lower = -std::numeric_limits<double>::infinity();         ///< hard stops [rad]
  double upper = std::numeric_limits<double>::infinity();
  double effort_limit = std::numeric_limits<double>::infinity();   ///< torque at which the drive saturates [Nm]
};

/// An arm with torque drives under gravity. All other joints of the description are locked at zero.
///
/// Integrated with short semi-implicit steps of the articulated-body algorithm. Friction is implicit, so that an arm
/// without a command creeps to rest and no friction makes the integration unstable.
class RigidBodyArm
{
public:
  /// \throws std::invalid_argument  not a URDF; a joint that it has not, or with more than one axis; a start outside
  ///   the hard stops; a friction, armature or limit that is negative or not finite where it must be
  RigidBodyArm(
    const std::string & urdf, const std::vector<SimulatedJoint> & joints, bool compensates_gravity,
    const Eigen::Vector3d & gravity = Eigen::Vector3d(0.0, 0.0, -9.81));
  ~RigidBodyArm();
  RigidBodyArm(RigidBodyArm &&) noexcept;
  RigidBodyArm & operator=(RigidBodyArm &&) noexcept;

  /// Let time pass with constant torques. Does not allocate.
  ///
  /// \param command  one torque per joint [Nm], finite; the drive saturates at its limit
  /// \param duration  [s]
  void step(const Eigen::VectorXd & command, double duration);

  /// Brakes: at rest where the joints are.
  void stop();

  /// Back to where it started, at rest.
  void restart();

  const Eigen::VectorXd & position() const;
  const Eigen::VectorXd & velocity() const;

  /// Torques of the drives in the last step, gravity compensation included; those that hold the arm while it is braked.
  const Eigen::VectorXd & effort() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace serl_impedance_controller

#endif  // MOCK__RIGID_BODY_ARM_HPP_
