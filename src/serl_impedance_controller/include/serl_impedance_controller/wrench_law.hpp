// SPDX-License-Identifier: Apache-2.0
/// \file
/// Feed-forward wrench in the tool frame (HIL-SERL App. D.2, dynamic tasks), limited, inside a workspace box.
#ifndef SERL_IMPEDANCE_CONTROLLER__WRENCH_LAW_HPP_
#define SERL_IMPEDANCE_CONTROLLER__WRENCH_LAW_HPP_

#include <algorithm>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/rotation.hpp"
#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// Clamp a tool-frame wrench to the configured limits, element by element [N, Nm].
template <int N>
Vector6 limit_wrench(const Config<N> & config, const Vector6 & wrench)
{
  return wrench.cwiseMin(config.wrench_limit).cwiseMax(-config.wrench_limit);
}

/// How far a point lies outside the workspace box, per axis, signed outwards [m]; zero inside.
template <int N>
Vector3 outside_workspace(const Config<N> & config, const Vector3 & point)
{
  return point - point.cwiseMax(config.workspace_low).cwiseMin(config.workspace_high);
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

/// One tick: w = R clamp(w_target) - R D_w R^T v, and where the tcp is outside the box, no component of the force
/// points further out and a spring and a damper pull back in. The spring's stretch is bounded by
/// `workspace_margin`, beyond which the controller faults.
///
/// \param twist   measured tcp velocity, base axes [m/s, rad/s]
/// \param target  wrench at the tcp, tool frame [N, Nm]
/// \return        wrench at the tcp, base axes [N, Nm]
template <int N>
Vector6 wrench_law(const Config<N> & config, const Pose & measured, const Vector6 & twist, const Vector6 & target)
{
  const Matrix3 axes = measured.orientation.toRotationMatrix();
  const Matrix3 to_tool = axes.transpose();
  const Vector6 damped = config.wrench_damping.cwiseProduct(rotate(to_tool, twist));
  Vector6 wrench = rotate(axes, limit_wrench(config, target) - damped);

  const Vector3 depth = outside_workspace(config, measured.position);
  for (int i = 0; i < 3; ++i) {
    if (depth[i] == 0.0) {
      continue;
    }
    const double outward = depth[i] > 0.0 ? 1.0 : -1.0;
    const double stretch = std::min(outward * depth[i], config.workspace_margin);
    const double speed = std::max(0.0, outward * twist[i]);
    wrench[i] = outward * std::min(0.0, outward * wrench[i]);
    wrench[i] -= outward * (config.workspace_stiffness * stretch + config.workspace_damping * speed);
  }
  return wrench;
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__WRENCH_LAW_HPP_
