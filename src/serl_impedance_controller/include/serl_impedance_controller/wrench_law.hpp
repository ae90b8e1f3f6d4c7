// SPDX-License-Identifier: Apache-2.0
/// \file
/// Feed-forward wrench in the tool frame (HIL-SERL App. D.2, dynamic tasks), limited in size and in the speed that it
/// gives, inside a workspace box.
#ifndef SERL_IMPEDANCE_CONTROLLER__WRENCH_LAW_HPP_
#define SERL_IMPEDANCE_CONTROLLER__WRENCH_LAW_HPP_

#include <algorithm>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/rotation.hpp"
#include "serl_impedance_controller/types.hpp"
#include "serl_impedance_controller/workspace.hpp"

namespace serl_impedance_controller
{

/// Clamp a tool-frame wrench to the configured limits, element by element [N, Nm].
template <int N>
Vector6 limit_wrench(const Config<N> & config, const Vector6 & wrench)
{
  return wrench.cwiseMin(config.wrench_limit).cwiseMax(-config.wrench_limit);
}

/// What is left of a push at a speed: its part along the motion fades out over the last share (`band`) below the limit
/// and is gone at the limit and beyond. What is across the motion or brakes it stays, and below that share all of it does.
///
/// \param push      force or torque [N or Nm]
/// \param velocity  of the tcp, or its turning, in the same axes [m/s or rad/s]
/// \param limit     of its norm
/// \param band      share of the limit
/// \param brake     damping of what exceeds the limit [Ns/m or Nms/rad]
inline Vector3 limit_speed(
  const Vector3 & push, const Vector3 & velocity, double limit, double band = kSpeedBand, double brake = 0.0)
{
  const double speed = velocity.norm();
  const double width = band * limit;
  if (!(speed > limit - width)) {  // also where there is no limit
    return push;
  }
  const Vector3 ahead = velocity / speed;
  const double share = std::max(0.0, limit - speed) / width;
  const double taken = (1.0 - share) * std::max(0.0, push.dot(ahead)) + brake * std::max(0.0, speed - limit);
  return push - taken * ahead;
}

/// Restoring wrench towards the pose at which the wrench mode began: a feed-forward wrench has no reference, so
/// without it the axes that nobody commands drift. Along the axes of that pose, each component at most
/// `wrench_limit`.
///
/// \param centre  tcp pose at which the mode's reference was taken, in base
/// \return        wrench at the tcp, base axes [N, Nm]
template <int N>
Vector6 centring_wrench(const Config<N> & config, const Pose & measured, const Pose & centre)
{
  const Matrix3 axes = centre.orientation.toRotationMatrix();
  const Vector6 error = rotate(axes.transpose(), pose_error(measured, centre));
  return rotate(axes, limit_wrench(config, -config.wrench_stiffness.cwiseProduct(error)));
}

/// One tick: w = R s(clamp(w_target)) - R D_w R^T v with s the limit of the speed (limit_speed()).
///
/// \param twist   measured tcp velocity, base axes [m/s, rad/s]
/// \param target  wrench at the tcp, tool frame [N, Nm]
/// \return        wrench at the tcp, base axes, before the workspace's barrier (keep_inside()) [N, Nm]
template <int N>
Vector6 pushed_wrench(const Config<N> & config, const Pose & measured, const Vector6 & twist, const Vector6 & target)
{
  const Matrix3 axes = measured.orientation.toRotationMatrix();
  const Vector6 velocity = rotate(axes.transpose(), twist);
  Vector6 pushed = limit_wrench(config, target);
  pushed.head<3>() = limit_speed(pushed.head<3>(), velocity.head<3>(), config.wrench_linear_speed);
  pushed.tail<3>() = limit_speed(pushed.tail<3>(), velocity.tail<3>(), config.wrench_angular_speed);
  return rotate(axes, pushed - config.wrench_damping.cwiseProduct(velocity));
}

/// pushed_wrench(), and near and outside the border of the workspace nothing that drives further out: what pushes
/// outwards is dropped, what acts along the border or inwards stays, and spring and damper pull back (keep_inside()).
///
/// \param centring  what else acts, base axes [N, Nm]
/// \param mobility  inverse of the tcp inertia, base axes, or nullptr
template <int N>
Vector6 wrench_law(
  const Config<N> & config, const Pose & measured, const Vector6 & twist, const Vector6 & target,
  const Vector6 & centring = Vector6::Zero(), const Matrix6 * mobility = nullptr)
{
  const Vector6 wrench = pushed_wrench(config, measured, twist, target) + centring;
  return keep_inside(config, measured, twist, wrench, mobility);
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__WRENCH_LAW_HPP_
