// SPDX-License-Identifier: Apache-2.0
/// \file
/// Guards of the joints, in every mode and fault: their limits and their speed.
#ifndef SERL_IMPEDANCE_CONTROLLER__JOINT_GUARD_HPP_
#define SERL_IMPEDANCE_CONTROLLER__JOINT_GUARD_HPP_

#include <algorithm>
#include <cmath>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/task_dynamics.hpp"
#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

constexpr double kGuardBandwidth = 30.0;   ///< of a critically damped guard [rad/s]
constexpr double kGuardReach = 0.3;        ///< time to the border, in distance, at which a guard begins [rad]
constexpr double kGuardPhase = 0.35;       ///< most phase that the loop's delay may take from a guard [rad]
constexpr double kGuardInertia = 0.1;      ///< of a joint where there is no mass matrix [kg m^2]

/// Bandwidth that the loop's delay leaves [rad/s].
inline double guard_bandwidth(const TaskConfig & config)
{
  return std::min(kGuardBandwidth, kGuardPhase / (config.delay + 0.5 / config.frequency));
}

/// Torques without bias, kept from driving joints into their limits or beyond their speed.
///
/// Towards a border `joint_margin` before a limit, the torque is at most K d - D dq with d the distance, a spring and a
/// critical damper for the inertia that the joint shows: far away and slow that is no bound. Above 90 % of `joint_speed`
/// what pushes along the motion fades out, and above all of it a damper brakes.
template <int N>
JointVector<N> guard_joints(
  const Config<N> & config, const Measurement<N> & m, const TaskDynamics<N> & dynamics, JointVector<N> torque)
{
  const double bandwidth = guard_bandwidth(config);
  for (int i = 0; i < N; ++i) {
    double inertia = 0.0;   // worked out where it is needed: seldom
    const auto shown = [&]() {
        if (inertia == 0.0) {
          inertia = dynamics.has_inertia() ? dynamics.joint_inertia(i) : kGuardInertia;
        }
        return inertia;
      };
    const double speed = std::abs(m.dq[i]), limit = config.joint_speed[i];
    if (speed > (1.0 - kSpeedBand) * limit) {
      const double ahead = m.dq[i] > 0.0 ? 1.0 : -1.0;
      const double push = ahead * torque[i];
      const double share = std::max(0.0, limit - speed) / (kSpeedBand * limit);
      const double brake = 2.0 * bandwidth * shown() * std::max(0.0, speed - limit);
      torque[i] = ahead * (std::min(push, 0.0) + std::max(push, 0.0) * share - brake);
    }
    for (const double outward : {1.0, -1.0}) {
      const double border = outward > 0.0 ? config.joint_high[i] : -config.joint_low[i];
      const double distance = border - config.joint_margin - outward * m.q[i];
      const double ahead = distance - 2.0 / bandwidth * outward * m.dq[i];
      if (ahead < kGuardReach) {
        const double most = bandwidth * bandwidth * shown() * ahead;
        torque[i] = outward * std::min(outward * torque[i], most);
      }
    }
  }
  return torque;
}

/// The short way round for joints that may wrap, those without limits: a measurement that jumps by a turn changes
/// nothing [rad].
template <int N>
JointVector<N> posture_error(const Config<N> & config, const JointVector<N> & posture, const JointVector<N> & q)
{
  JointVector<N> error = posture - q;
  for (int i = 0; i < N; ++i) {
    if (std::abs(error[i]) > M_PI && std::isinf(config.joint_low[i]) && std::isinf(config.joint_high[i])) {
      error[i] = std::remainder(error[i], 2.0 * M_PI);
    }
  }
  return error;
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__JOINT_GUARD_HPP_
