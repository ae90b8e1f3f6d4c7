// SPDX-License-Identifier: Apache-2.0
/// \file
/// Smoothing of the commanded target: first-order low-pass of the position, slerp of the orientation.
#ifndef SERL_IMPEDANCE_CONTROLLER__TARGET_FILTER_HPP_
#define SERL_IMPEDANCE_CONTROLLER__TARGET_FILTER_HPP_

#include <limits>

#include "serl_impedance_controller/rotation.hpp"
#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// p_s <- p_s + a (p_target - p_s) each tick, and the same share of the rotation that is left, the short way
/// round. a = 1 - exp(-1 / (f T)) gives the time constant T [s]; a = 1 passes the target through. What this makes of a
/// target far away is bounded by the speed limits: the whole step is scaled down.
class TargetFilter
{
public:
  /// Start over from a pose, at rest.
  void reset(const Pose & pose)
  {
    pose_ = pose;
    pose_.orientation.normalize();
    twist_.setZero();
  }

  /// Advance one tick towards `target`.
  ///
  /// \param smoothing      a
  /// \param frequency      ticks per second [Hz]
  /// \param linear_speed   largest speed of the smoothed target [m/s]
  /// \param angular_speed  and of its turning [rad/s]
  void step(
    const Pose & target, double smoothing, double frequency,
    double linear_speed = std::numeric_limits<double>::infinity(),
    double angular_speed = std::numeric_limits<double>::infinity())
  {
    const Vector3 translation = at_most(
      smoothing * (target.position - pose_.position), linear_speed / frequency);
    const Vector3 rotation = at_most(
      smoothing * rotation_vector(target.orientation * pose_.orientation.conjugate()), angular_speed / frequency);
    pose_.position += translation;
    pose_.orientation = (quaternion_of(rotation) * pose_.orientation).normalized();
    twist_.head<3>() = frequency * translation;
    twist_.tail<3>() = frequency * rotation;
  }

  const Pose & pose() const {return pose_;}

  /// Velocity of the smoothed target, base axes [m/s, rad/s].
  const Vector6 & twist() const {return twist_;}

private:
  static Vector3 at_most(const Vector3 & step, double length)
  {
    const double norm = step.norm();
    return norm > length ? Vector3(length / norm * step) : step;
  }

  Pose pose_;
  Vector6 twist_ = Vector6::Zero();
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__TARGET_FILTER_HPP_
