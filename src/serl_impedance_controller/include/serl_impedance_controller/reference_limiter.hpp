// SPDX-License-Identifier: Apache-2.0
/// \file
/// The reference limit |e| <= Delta of the paper, per axis and per sign.
///
/// The limit is on the error e = p - p_ref, at the rate of the law, not on the command: a target far inside a
/// wall pulls with k_p Delta, whereas in free space the limited reference stays Delta ahead of the arm at
/// every tick and so can cross M Delta during the M ticks of one command.
#ifndef SERL_IMPEDANCE_CONTROLLER__REFERENCE_LIMITER_HPP_
#define SERL_IMPEDANCE_CONTROLLER__REFERENCE_LIMITER_HPP_

#include "serl_impedance_controller/rotation.hpp"
#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// Clamp e to [-clip_neg, clip_pos] element by element. Translation [m]; rotation vector [rad].
///
/// A positive e means that the reference lies on the negative side of the arm: `clip_pos` bounds the push
/// towards the negative axis, `clip_neg` the push towards the positive one.
inline Vector6 limit_error(const Vector6 & error, const Vector6 & clip_pos, const Vector6 & clip_neg)
{
  return error.cwiseMin(clip_pos).cwiseMax(-clip_neg);
}

/// Bound on the derivative of a limited error: it can cross [-clip_neg, clip_pos] once a tick,
/// |de/dt| <= (clip_pos + clip_neg) f, which is 2 Delta f for a symmetric limit.
inline Vector6 limit_error_rate(
  const Vector6 & rate, const Vector6 & clip_pos, const Vector6 & clip_neg, double frequency)
{
  const Vector6 bound = frequency * (clip_pos + clip_neg);
  return rate.cwiseMin(bound).cwiseMax(-bound);
}

/// The reference that a (limited) error stands for: p_ref with pose_error(measured, p_ref) = error, base axes.
inline Pose reference_of(const Pose & measured, const Vector6 & error)
{
  Pose reference;
  reference.position = measured.position - error.head<3>();
  reference.orientation = (quaternion_of(-error.tail<3>()) * measured.orientation).normalized();
  return reference;
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__REFERENCE_LIMITER_HPP_
