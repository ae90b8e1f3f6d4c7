// SPDX-License-Identifier: Apache-2.0
/// \file
/// Rate limit and absolute limit of the joint torques.
#ifndef SERL_IMPEDANCE_CONTROLLER__TORQUE_LIMITER_HPP_
#define SERL_IMPEDANCE_CONTROLLER__TORQUE_LIMITER_HPP_

#include <algorithm>
#include <cmath>

#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// Both limits shrink the whole vector and never single joints: the result lies on the line between the last
/// torque and the wanted one (or between zero and it), so bounds on the tcp's wrench and the null-space's
/// silence at the tcp hold for the limited torque too. The bias (gravity and Coriolis) is exempt from the rate
/// limit, because an arm that starts without it falls.
template <int N>
class TorqueLimiter
{
public:
  void reset() {last_.setZero();}

  /// \param wanted  torque without bias [Nm]
  /// \param bias    gravity and Coriolis torque [Nm]
  /// \param rate    largest change of the first part per tick, per joint [Nm]
  /// \param limit   largest absolute whole torque, per joint [Nm]
  /// \return        the torque to command, bias included [Nm]
  JointVector<N> step(
    const JointVector<N> & wanted, const JointVector<N> & bias, const JointVector<N> & rate,
    const JointVector<N> & limit)
  {
    const JointVector<N> offset = bias.cwiseMin(limit).cwiseMax(-limit);
    const JointVector<N> goal = shrink(wanted, offset, limit) * wanted;
    const JointVector<N> change = goal - last_;
    double share = 1.0;
    for (int i = 0; i < N; ++i) {
      const double size = std::abs(change[i]);
      if (size > rate[i]) {
        share = std::min(share, rate[i] / size);
      }
    }
    last_ += share * change;
    // Only a bias or a limit that moved since the last tick can leave anything to cut here.
    last_ = last_.cwiseMin(limit - offset).cwiseMax(-limit - offset);
    return last_ + offset;
  }

  /// The last torque without bias [Nm].
  const JointVector<N> & last() const {return last_;}

private:
  /// The share of `torque` that fits between the bias and the limits.
  static double shrink(
    const JointVector<N> & torque, const JointVector<N> & offset, const JointVector<N> & limit)
  {
    double scale = 1.0;
    for (int i = 0; i < N; ++i) {
      const double room = torque[i] > 0.0 ? limit[i] - offset[i] : limit[i] + offset[i];
      const double size = std::abs(torque[i]);
      if (size > room) {
        scale = std::min(scale, room / size);
      }
    }
    return scale;
  }

  JointVector<N> last_ = JointVector<N>::Zero();
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__TORQUE_LIMITER_HPP_
