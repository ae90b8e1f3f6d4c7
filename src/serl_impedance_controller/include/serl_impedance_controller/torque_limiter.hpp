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

/// Joint torques by what they are for, in the order in which they are kept where a joint's limit does not leave room
/// for all [Nm].
template <int N>
struct TorqueParts
{
  JointVector<N> force = JointVector<N>::Zero();     ///< J^T of the tcp's force
  JointVector<N> moment = JointVector<N>::Zero();    ///< J^T of its moment
  JointVector<N> posture = JointVector<N>::Zero();   ///< null space

  JointVector<N> sum() const {return force + moment + posture;}
};

/// Both limits shrink whole vectors and never single joints: the result lies on the line between the last torque and the
/// wanted one, which itself is made of shrunk parts, so bounds on the tcp's wrench and the null-space's silence at the
/// tcp hold for the limited torque too. A wrist joint that saturates costs moment and not force (see fit()). The rate limit
/// is on the whole command, because that is what arms check: what the bias (gravity and Coriolis) changes by is taken from
/// the room of the rest. Only the first command has the bias at once, because an arm that starts without it falls.
template <int N>
class TorqueLimiter
{
public:
  void reset()
  {
    last_.setZero();
    has_limit_ = has_command_ = false;
  }

  /// The limits in force this tick: `limit`, or where that was lowered below the last torque, what comes down from there
  /// at `rate` a tick.
  const JointVector<N> & begin(const JointVector<N> & limit, const JointVector<N> & rate)
  {
    limit_ = has_limit_ ? JointVector<N>(limit.cwiseMax(limit_.cwiseMin(command_.cwiseAbs()) - rate)) : limit;
    has_limit_ = true;
    return limit_;
  }

  /// What fits between the bias and the limits: the whole; else the force whole and of the rest as much as fits; else
  /// all of it shrunk.
  JointVector<N> fit(const TorqueParts<N> & wanted, const JointVector<N> & bias) const
  {
    const JointVector<N> offset = bias.cwiseMin(limit_).cwiseMax(-limit_);
    const JointVector<N> whole = wanted.sum();
    const double share = room_for(whole, offset);
    if (share >= 1.0) {
      return whole;
    }
    if (room_for(wanted.force, offset) < 1.0) {
      return share * whole;
    }
    const JointVector<N> with_force = offset + wanted.force;
    const JointVector<N> moment = room_for(wanted.moment, with_force) * wanted.moment;
    return wanted.force + moment + room_for(wanted.posture, with_force + moment) * wanted.posture;
  }

  /// One tick towards `goal`, a torque without bias; the whole command changes by at most `rate` for each joint.
  ///
  /// \return  the torque to command, bias included [Nm]
  JointVector<N> approach(const JointVector<N> & goal, const JointVector<N> & bias, const JointVector<N> & rate)
  {
    const JointVector<N> offset = bias.cwiseMin(limit_).cwiseMax(-limit_);
    if (!has_command_) {
      command_ = offset;
      has_command_ = true;
    }
    const JointVector<N> drift = last_ + offset - command_;   // what changes though the rest does not: the bias
    const JointVector<N> change = goal - last_;
    double share = 1.0;
    for (int i = 0; i < N; ++i) {
      const double room = std::max(0.0, change[i] > 0.0 ? rate[i] - drift[i] : rate[i] + drift[i]);
      const double size = std::abs(change[i]);
      if (size > room) {
        share = std::min(share, room / size);
      }
    }
    // Only a bias that moved since the last tick, or a guard's brake, can leave anything to cut here.
    const JointVector<N> wanted = (last_ + share * change + offset).cwiseMin(limit_).cwiseMax(-limit_);
    command_ = wanted.cwiseMin(command_ + rate).cwiseMax(command_ - rate);
    last_ = command_ - offset;
    return command_;
  }

  /// All three, for a torque that is not made of parts.
  JointVector<N> step(
    const JointVector<N> & wanted, const JointVector<N> & bias, const JointVector<N> & rate,
    const JointVector<N> & limit)
  {
    begin(limit, rate);
    TorqueParts<N> parts;
    parts.moment = wanted;
    return approach(fit(parts, bias), bias, rate);
  }

  /// The last torque without bias [Nm].
  const JointVector<N> & last() const {return last_;}

private:
  /// The share of `torque` that fits between `offset` and the limits.
  double room_for(const JointVector<N> & torque, const JointVector<N> & offset) const
  {
    double scale = 1.0;
    for (int i = 0; i < N; ++i) {
      const double room = std::max(0.0, torque[i] > 0.0 ? limit_[i] - offset[i] : limit_[i] + offset[i]);
      const double size = std::abs(torque[i]);
      if (size > room) {
        scale = std::min(scale, room / size);
      }
    }
    return scale;
  }

  JointVector<N> last_ = JointVector<N>::Zero();
  JointVector<N> command_ = JointVector<N>::Zero();   // the last whole torque
  JointVector<N> limit_ = JointVector<N>::Zero();
  bool has_limit_ = false;
  bool has_command_ = false;
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__TORQUE_LIMITER_HPP_
