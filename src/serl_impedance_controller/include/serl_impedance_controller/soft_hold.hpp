// SPDX-License-Identifier: Apache-2.0
/// \file
/// How an arm is held whose loop oscillates: by what cannot oscillate at the period that was seen.
#ifndef SERL_IMPEDANCE_CONTROLLER__SOFT_HOLD_HPP_
#define SERL_IMPEDANCE_CONTROLLER__SOFT_HOLD_HPP_

#include <algorithm>

#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// tau = -M (w dq + (w/2)^2 e), e = q - q_hold of at most kReach: with the mass matrix as its gain, every mode of the arm is
/// damped alike, critically, with the bandwidth w. A loop that a delay T makes oscillate does so with a half period of about 2 T, so w
/// is chosen as a share of that; a hold that oscillates all the same becomes softer by half. An arm that is carried further
/// than kReach by the speed it had takes q_hold along: it comes to rest there and is not drawn all the way back.
template <int N>
class SoftHold
{
public:
  static constexpr double kBandwidth = 20.0;   ///< most of it [rad/s]
  static constexpr double kShare = 0.5;        ///< of w times the half period: far from the 1.57 where it would begin
  static constexpr double kReach = 0.1;        ///< [rad]
  static constexpr double kInertia = 0.1;      ///< of each joint where there is no mass matrix [kg m^2]

  void release() {bandwidth_ = 0.0;}

  /// Hold at `q`: for the first time after an oscillation with this half period [s], or again.
  void begin(const JointVector<N> & q, double half_period)
  {
    const double slow = std::min(kBandwidth, kShare / half_period);
    bandwidth_ = bandwidth_ > 0.0 ? std::min(slow, 0.5 * bandwidth_) : slow;
    hold_ = q;
  }

  explicit operator bool() const {return bandwidth_ > 0.0;}

  double bandwidth() const {return bandwidth_;}

  /// One tick; without bias [Nm].
  JointVector<N> torque(const Measurement<N> & m)
  {
    const double stiffness = bandwidth_ * bandwidth_ / 4.0;
    const JointVector<N> error = (m.q - hold_).cwiseMin(kReach).cwiseMax(-kReach);
    hold_ = m.q - error;
    const JointVector<N> pull = -bandwidth_ * m.dq - stiffness * error;
    return m.has_mass ? JointVector<N>(m.mass.lazyProduct(pull)) : JointVector<N>(kInertia * pull);
  }

private:
  JointVector<N> hold_ = JointVector<N>::Zero();
  double bandwidth_ = 0.0;   // [rad/s]
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__SOFT_HOLD_HPP_
