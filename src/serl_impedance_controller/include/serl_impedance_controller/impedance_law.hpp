// SPDX-License-Identifier: Apache-2.0
/// \file
/// The Cartesian impedance of HIL-SERL, eq. (7), with the reference limited.
///
/// The paper writes F = k_p e + k_d de/dt + F_ff + F_cor with e = p - p_ref; a spring that pulls towards the
/// reference needs the opposite sign of the first two terms, and that is what is implemented:
///
///   F = -K e_c - D de_c + F_ff,    tau = J^T F + tau_null + tau_bias,
///   e_c = clamp(e, -clip_neg, clip_pos),    |de_c| <= (clip_pos + clip_neg) f,
///
/// along the axes of the gain frame (base or tcp), rotated to base for J. The Coriolis term F_cor is part of
/// tau_bias, which the arm's model gives in joint space. Rotation errors are rotation vectors [rad]: monotonic
/// up to pi, unlike the quaternion's vector part (about half of it), so a published clip or stiffness meant for
/// quaternion vectors becomes 2 clip and K / 2.
///
/// Per axis |F - F_ff| <= K Delta + D (clip_pos + clip_neg) f, the paper's k_p Delta + 2 k_d Delta f.
///
/// de is the measured tcp velocity v (DampedVelocity::kMeasured), which opposes every motion and bounds the
/// free-space speed to K Delta / D, or v minus the part of it that follows the smoothed target's velocity v_s
/// (kRelative): de = v - clamp(v, min(0, v_s), max(0, v_s)). This is de/dt of eq. (7) while the arm goes with the
/// target; it never pushes (the term is dissipative or zero), so a target that drives into a wall adds no force
/// beyond K Delta, and the limit does not slow free motion either.
#ifndef SERL_IMPEDANCE_CONTROLLER__IMPEDANCE_LAW_HPP_
#define SERL_IMPEDANCE_CONTROLLER__IMPEDANCE_LAW_HPP_

#include <algorithm>
#include <cmath>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/reference_limiter.hpp"
#include "serl_impedance_controller/rotation.hpp"
#include "serl_impedance_controller/task_dynamics.hpp"
#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// What the law worked out in one tick.
struct ImpedanceResult
{
  Vector6 error = Vector6::Zero();          ///< e before the limit, gain frame [m, rad]
  Vector6 limited_error = Vector6::Zero();  ///< e after the limit, gain frame [m, rad]
  Vector6 damping = Vector6::Zero();        ///< D used, gain frame [Ns/m, Nms/rad]
  Vector6 wrench = Vector6::Zero();         ///< -K e_c - D de_c, base axes, at the tcp [N, Nm]
  Pose limited;                             ///< the limited reference, in base
};

/// D_i = 2 zeta_i sqrt(K_i m_i) with m_i = shown_inertia() along axis i, at most the largest damping a configuration
/// may ask for.
inline Vector6 damping_from_ratio(
  const Vector6 & ratio, const Vector6 & stiffness, const Matrix6 & mobility, const Matrix3 & axes)
{
  Vector6 damping;
  for (int i = 0; i < 6; ++i) {
    const int block = i < 3 ? 0 : 3;
    const double inertia = shown_inertia(mobility, block, axes.col(i - block));
    const double most = i < 3 ? kMaxTranslationalDamping : kMaxRotationalDamping;
    damping[i] = std::min(most, 2.0 * ratio[i] * std::sqrt(stiffness[i] * inertia));
  }
  return damping;
}

/// The velocity the damper acts on, gain frame [m/s, rad/s].
inline Vector6 damped_velocity(DampedVelocity kind, const Vector6 & measured, const Vector6 & target)
{
  if (kind == DampedVelocity::kMeasured) {
    return measured;
  }
  const Vector6 low = target.cwiseMin(0.0);
  const Vector6 high = target.cwiseMax(0.0);
  return measured - measured.cwiseMax(low).cwiseMin(high);
}

/// Largest |F_i - F_ff,i| the law can ask for, gain frame [N, Nm].
template <int N>
Vector6 force_bound(const Config<N> & config, const Vector6 & damping)
{
  return config.stiffness.cwiseProduct(config.clip_pos.cwiseMax(config.clip_neg)) +
         config.frequency * damping.cwiseProduct(config.clip_pos + config.clip_neg);
}

/// One tick of the law.
///
/// \param measured   tcp pose in base
/// \param twist      measured tcp velocity J dq, base axes [m/s, rad/s]
/// \param target     smoothed target pose in base
/// \param target_twist  its velocity, base axes [m/s, rad/s]
/// \param mobility   inverse of the tcp inertia, base axes, or nullptr: `damping` then stands in for a damping ratio
template <int N>
ImpedanceResult impedance_law(
  const Config<N> & config, const Pose & measured, const Vector6 & twist, const Pose & target,
  const Vector6 & target_twist, const Matrix6 * mobility)
{
  const Matrix3 axes =
    config.gain_frame == GainFrame::kTcp ? measured.orientation.toRotationMatrix() : Matrix3::Identity();
  const Matrix3 to_gain = axes.transpose();

  ImpedanceResult out;
  out.error = rotate(to_gain, pose_error(measured, target));
  out.limited_error = limit_error(out.error, config.clip_pos, config.clip_neg);
  out.damping = config.damping;
  if (config.damping_kind == DampingKind::kRatio && mobility != nullptr) {
    out.damping = damping_from_ratio(config.damping_ratio, config.stiffness, *mobility, axes);
  }
  const Vector6 velocity =
    damped_velocity(config.damped_velocity, rotate(to_gain, twist), rotate(to_gain, target_twist));
  const Vector6 rate = limit_error_rate(velocity, config.clip_pos, config.clip_neg, config.frequency);

  const Vector6 wrench =
    -config.stiffness.cwiseProduct(out.limited_error) - out.damping.cwiseProduct(rate);
  out.wrench = rotate(axes, wrench);
  out.limited = reference_of(measured, rotate(axes, out.limited_error));
  return out;
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__IMPEDANCE_LAW_HPP_
