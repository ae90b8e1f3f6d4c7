// SPDX-License-Identifier: Apache-2.0
/// \file
/// Rotation vectors (axis times angle [rad], angle in [0, pi]) of unit quaternions and back.
#ifndef SERL_IMPEDANCE_CONTROLLER__ROTATION_HPP_
#define SERL_IMPEDANCE_CONTROLLER__ROTATION_HPP_

#include <algorithm>
#include <cmath>

#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// Logarithm of a unit quaternion: the short way round, smooth through the identity.
inline Vector3 rotation_vector(const Eigen::Quaterniond & rotation)
{
  const double sign = rotation.w() < 0.0 ? -1.0 : 1.0;  // q and -q are one rotation; take the one with angle <= pi
  const Vector3 v = sign * rotation.vec();
  const double s = v.norm();                            // sin(angle / 2)
  if (s < 1e-8) {
    return 2.0 * v;
  }
  return (2.0 * std::atan2(s, sign * rotation.w()) / s) * v;
}

/// Exponential: the unit quaternion that rotates by `vector` [rad].
inline Eigen::Quaterniond quaternion_of(const Vector3 & vector)
{
  const double angle = vector.norm();
  const double scale = angle < 1e-8 ? 0.5 : std::sin(0.5 * angle) / angle;
  const Vector3 v = scale * vector;
  return Eigen::Quaterniond(std::cos(0.5 * angle), v.x(), v.y(), v.z()).normalized();
}

/// e = p - p_ref (the paper's sign): position difference and rotation vector of R R_ref^T, base axes [m, rad].
inline Vector6 pose_error(const Pose & measured, const Pose & reference)
{
  Vector6 error;
  error.head<3>() = measured.position - reference.position;
  error.tail<3>() = rotation_vector(measured.orientation * reference.orientation.conjugate());
  return error;
}

/// Apply a rotation to both halves of a six-vector.
inline Vector6 rotate(const Matrix3 & rotation, const Vector6 & vector)
{
  Vector6 out;
  out.head<3>().noalias() = rotation * vector.head<3>();
  out.tail<3>().noalias() = rotation * vector.tail<3>();
  return out;
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__ROTATION_HPP_
