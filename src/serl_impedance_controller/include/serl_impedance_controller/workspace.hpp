// SPDX-License-Identifier: Apache-2.0
/// \file
/// The workspace: a box for the tcp and a largest turn from an orientation. Target poses are put inside; where forces
/// rule, a barrier drops what pushes out and pulls back.
#ifndef SERL_IMPEDANCE_CONTROLLER__WORKSPACE_HPP_
#define SERL_IMPEDANCE_CONTROLLER__WORKSPACE_HPP_

#include <algorithm>
#include <cmath>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/rotation.hpp"
#include "serl_impedance_controller/task_dynamics.hpp"
#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// Speed above the one that a barrier allows at which nothing is left of a push outwards.
constexpr double kBarrierBand = 0.05;         // [m/s]
constexpr double kBarrierAngularBand = 0.3;   // [rad/s]

/// How far a point lies outside the box, per axis, signed outwards [m]; zero inside.
inline Vector3 outside_workspace(const TaskConfig & config, const Vector3 & point)
{
  return point - point.cwiseMax(config.workspace_low).cwiseMin(config.workspace_high);
}

/// Rotation vector of an orientation from the workspace's, base axes [rad].
inline Vector3 turn_in_workspace(const TaskConfig & config, const Eigen::Quaterniond & orientation)
{
  return rotation_vector(orientation * config.workspace_orientation.conjugate());
}

/// There is a largest turn: beyond pi none would be.
inline bool bounds_rotation(const TaskConfig & config) {return config.workspace_max_rotation < M_PI;}

/// What a barrier makes of a push: it lets the arm approach with at most K/D times the distance that is left. Above that
/// speed the outward part of the push fades out, and a damper brakes; outside, where the allowed speed points inwards,
/// the same damper is the spring that pulls back. Braking before the border is what keeps a fast arm inside.
struct Barrier
{
  double stiffness;   ///< K
  double damping;     ///< D
  double reach;       ///< largest stretch of the spring
  double band;        ///< speed over which the push fades out

  /// \param push      along the outward direction; what points inwards is kept whole
  /// \param distance  to the border, positive inside
  /// \param speed     outwards
  double limit(double push, double distance, double speed) const
  {
    const double stretch = std::max(distance, -reach);
    if (stiffness <= 0.0 || damping <= 0.0) {  // nothing to brake with: outside, the push outwards is dropped
      return stretch < 0.0 ? std::min(push, 0.0) + stiffness * stretch - damping * std::max(0.0, speed) : push;
    }
    const double excess = speed - stiffness / damping * stretch;
    if (excess <= 0.0) {
      return push;
    }
    return std::min(push, 0.0) + std::max(push, 0.0) * left(excess) - damping * excess;
  }

  /// The share of an outward push that is left at an excess of speed.
  double left(double excess) const {return std::clamp(1.0 - excess / band, 0.0, 1.0);}

  /// limit() without its damper, for a push on top of a law that has its own.
  double fade(double push, double distance, double speed) const
  {
    const double excess = damping > 0.0 ? speed - stiffness / damping * std::max(distance, -reach) : 0.0;
    return std::min(push, 0.0) + std::max(push, 0.0) * (distance < 0.0 ? 0.0 : left(std::max(0.0, excess)));
  }
};

/// The barrier along a direction. `mobility` (or nullptr) makes it critically damped at least.
inline Barrier barrier_along(
  const TaskConfig & config, int block, const Vector3 & direction, const Matrix6 * mobility)
{
  const bool turns = block == 3;
  Barrier barrier{
    turns ? config.workspace_rotational_stiffness : config.workspace_stiffness,
    turns ? config.workspace_rotational_damping : config.workspace_damping,
    turns ? config.workspace_rotation_margin : config.workspace_margin, turns ? kBarrierAngularBand : kBarrierBand};
  if (mobility != nullptr) {
    const double critical = 2.0 * std::sqrt(barrier.stiffness * shown_inertia(*mobility, block, direction));
    barrier.damping = std::max(barrier.damping, critical);
  }
  return barrier;
}

/// Keep a wrench from driving the tcp out of box and turn, see Barrier.
///
/// \param twist     measured tcp velocity, base axes [m/s, rad/s]
/// \param wrench    at the tcp, base axes [N, Nm]
/// \param mobility  inverse of the tcp inertia, base axes, or nullptr
/// \param brake     with the barrier's damper and spring; else only what pushes outwards fades out
inline Vector6 keep_inside(
  const TaskConfig & config, const Pose & measured, const Vector6 & twist, const Vector6 & wrench,
  const Matrix6 * mobility, bool brake = true)
{
  Vector6 out = wrench;
  for (int i = 0; i < 3; ++i) {
    for (const double outward : {1.0, -1.0}) {
      const double border = outward > 0.0 ? config.workspace_high[i] : -config.workspace_low[i];
      const double distance = border - outward * measured.position[i], speed = outward * twist[i];
      if (distance == kUnlimited || (distance > 0.0 && speed <= 0.0)) {
        continue;
      }
      const Barrier barrier = barrier_along(config, 0, Vector3::Unit(i), mobility);
      const double push = outward * out[i];
      out[i] = outward * (brake ? barrier.limit(push, distance, speed) : barrier.fade(push, distance, speed));
    }
  }
  if (bounds_rotation(config)) {
    const Vector3 turn = turn_in_workspace(config, measured.orientation);
    const double angle = turn.norm();
    if (angle > 1e-6) {
      const Vector3 outward = turn / angle;
      const Barrier barrier = barrier_along(config, 3, outward, mobility);
      const double push = outward.dot(out.tail<3>()), speed = outward.dot(twist.tail<3>());
      const double distance = config.workspace_max_rotation - angle;
      const double kept = brake ? barrier.limit(push, distance, speed) : barrier.fade(push, distance, speed);
      out.tail<3>() += (kept - push) * outward;
    }
  }
  return out;
}

/// Puts target poses inside. An arm that is found outside is not drawn in with a jump: targets may be as far out as it
/// was found and, as it comes in, as it still is; never further.
class TargetBounds
{
public:
  /// Start over with an arm at `measured`.
  void reset(const TaskConfig & config, const Pose & measured)
  {
    low_ = config.workspace_low.cwiseMin(measured.position);
    high_ = config.workspace_high.cwiseMax(measured.position);
    angle_ = bounds_rotation(config) ? turn_in_workspace(config, measured.orientation).norm() : 0.0;
  }

  /// `target` inside, for an arm that is at `measured` now.
  Pose inside(const TaskConfig & config, const Pose & measured, const Pose & target)
  {
    low_ = config.workspace_low.cwiseMin(low_.cwiseMax(measured.position));
    high_ = config.workspace_high.cwiseMax(high_.cwiseMin(measured.position));
    Pose out = target;
    out.position = target.position.cwiseMax(low_).cwiseMin(high_);
    if (bounds_rotation(config)) {
      if (angle_ > config.workspace_max_rotation) {
        angle_ = std::min(angle_, turn_in_workspace(config, measured.orientation).norm());
      }
      const double most = std::max(config.workspace_max_rotation, angle_);
      const Vector3 turn = turn_in_workspace(config, target.orientation);
      const double angle = turn.norm();
      if (angle > most) {
        out.orientation = quaternion_of(most / angle * turn) * config.workspace_orientation;
      }
    }
    return out;
  }

private:
  Vector3 low_ = Vector3::Constant(-kUnlimited);
  Vector3 high_ = Vector3::Constant(kUnlimited);
  double angle_ = 0.0;   // [rad]
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__WORKSPACE_HPP_
