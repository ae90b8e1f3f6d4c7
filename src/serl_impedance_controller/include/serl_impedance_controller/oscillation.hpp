// SPDX-License-Identifier: Apache-2.0
/// \file
/// Notices an arm that shakes.
#ifndef SERL_IMPEDANCE_CONTROLLER__OSCILLATION_HPP_
#define SERL_IMPEDANCE_CONTROLLER__OSCILLATION_HPP_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// A joint that oscillates.
struct Oscillation
{
  double size = 0.0;          ///< of its last swing [rad/s]; 0: there is none
  double half_period = 0.0;   ///< duration of the swing before [s]
};

/// Four swings of a joint in a row, each of at most 0.15 s and none smaller than the one a period before it, or three that
/// grow by a tenth and more: that is no motion that settles. A loop that is unstable by too much gain, delay or too slow a rate
/// oscillates at 4 Hz and more, and shows it within 0.3 s. A swing is the time between two changes of sign of the joint's
/// velocity less its slow part. Whoever moves the target causes swings too, and a wrist that rings after a step of it may show
/// three that grow: for kExcused after each new target none counts, and then the count begins anew.
///
/// A loop that is unstable from tick to tick chatters: the torque rate limit keeps its swings small and uneven. What tells it
/// is an acceleration that turns round at every tick or two and does not settle; no target does that.
template <int N>
class OscillationMonitor
{
public:
  static constexpr double kLongestSwing = 0.15;   ///< [s]
  static constexpr double kExcused = 0.15;        ///< after a new target [s]: longer than the period of a policy
  static constexpr double kCorner = 30.0;        ///< of the slow part [rad/s]
  static constexpr double kKept = 0.95;          ///< share of the swing a period before: less is settling
  static constexpr int kSwings = 3;              ///< complete ones, before the last
  static constexpr double kGrowth = 1.1;         ///< of a period, with which one less is enough
  static constexpr double kChatter = 1.0;        ///< share of the threshold, for the changes of speed that turn round
  static constexpr double kChatterMemory = 0.02;   ///< over which their mean square is taken [s],
  static constexpr double kChatterTime = 0.05;     ///< the time [s]
  static constexpr int kChatterTicks = 5;          ///< or number of ticks, if that is longer,
  static constexpr double kChatterKept = 0.5;      ///< in which it falls below this share of itself where it settles

  /// Start over with an arm that moves with `dq`.
  void reset(const JointVector<N> & dq)
  {
    slow_ = previous_ = dq;
    change_.setZero();
    excused_ = 0;
    for (auto & joint : joints_) {
      joint = Joint{};
    }
  }

  /// The target has moved: what swings now, it may have caused.
  void excuse()
  {
    moved_ = true;
  }

  /// One tick.
  ///
  /// \param dq         joint velocities [rad/s]
  /// \param threshold  swings that stay below it do not count [rad/s]
  /// \param frequency  ticks per second [Hz]
  /// \return           of the joint that oscillates most
  Oscillation step(const JointVector<N> & dq, double threshold, double frequency)
  {
    slow_ += kCorner / (kCorner + frequency) * (dq - slow_);
    const JointVector<N> change = dq - previous_;
    const JointVector<N> turned = -change.cwiseProduct(change_);   // positive where a change of speed is taken back
    previous_ = dq;
    change_ = change;
    if (moved_) {
      excused_ = static_cast<std::int64_t>(std::ceil(kExcused * frequency));
      moved_ = false;
    }
    const bool excused = excused_ > 0;
    excused_ -= excused ? 1 : 0;
    Oscillation found;
    for (int i = 0; i < N; ++i) {
      Joint & joint = joints_[i];
      const double speed = dq[i] - slow_[i], size = std::abs(speed);
      ++joint.ticks;
      if (chatters(joint, std::max(0.0, turned[i]), kChatter * threshold, frequency)) {
        found = {std::max(found.size, std::sqrt(joint.chatter)), 1.0 / frequency};
      }
      if (excused) {
        joint.side = 0;
        joint.peak = 0.0;
        continue;
      }
      if (size > threshold) {
        const int side = speed > 0.0 ? 1 : -1;
        if (side != joint.side) {
          begin_swing(joint, side, frequency);
        }
        joint.peak = std::max(joint.peak, size);
      }
      const bool lasts = joint.swings >= kSwings && joint.peak >= kKept * joint.before;
      const bool grows = joint.swings >= kSwings - 1 && joint.last >= kKept * joint.before &&
        joint.peak >= kKept * joint.last && joint.peak >= kGrowth * joint.before;
      if ((lasts || grows) && joint.ticks < kLongestSwing * frequency && joint.peak > found.size) {
        found = {joint.peak, static_cast<double>(joint.length) / frequency};
      }
    }
    return found;
  }

private:
  struct Joint
  {
    int side = 0;          // of the running swing
    int swings = 0;        // complete ones in a row that did not become smaller
    std::int64_t ticks = 0;   // since the running swing began
    std::int64_t length = 1;  // ticks of the swing before
    double peak = 0.0;     // of the running swing,
    double last = 0.0;     // of the one before,
    double before = 0.0;   // and of the one before that: a period ago
    double chatter = 0.0;          // mean square of the changes of speed that turn round [(rad/s)^2]
    double chatter_before = 0.0;   // the same, `span` ticks after it rose above the threshold or was last looked at
    std::int64_t chattering = 0;   // ticks
  };

  static bool chatters(Joint & joint, double turned, double threshold, double frequency)
  {
    joint.chatter += (turned - joint.chatter) / (1.0 + kChatterMemory * frequency);
    if (joint.chatter <= threshold * threshold) {
      joint.chattering = 0;
      return false;
    }
    const auto span = std::max<std::int64_t>(kChatterTicks, static_cast<std::int64_t>(kChatterTime * frequency));
    ++joint.chattering;
    const bool lasts = joint.chattering > 2 * span && joint.chatter >= kChatterKept * joint.chatter_before;
    if (joint.chattering == span || joint.chattering > 2 * span) {
      joint.chattering = span;
      joint.chatter_before = joint.chatter;
    }
    return lasts;
  }

  static void begin_swing(Joint & joint, int side, double frequency)
  {
    const bool late = joint.side == 0 || joint.ticks > kLongestSwing * frequency;
    if (late) {
      joint.swings = 0;
      joint.length = 1;
      joint.last = joint.before = 0.0;
    } else {
      joint.swings = joint.peak >= kKept * joint.before ? std::min(joint.swings + 1, kSwings) : 2;
      joint.length = joint.ticks;
      joint.before = joint.last;
      joint.last = joint.peak;
    }
    joint.side = side;
    joint.ticks = 0;
    joint.peak = 0.0;
  }

  JointVector<N> slow_ = JointVector<N>::Zero();
  JointVector<N> previous_ = JointVector<N>::Zero();   // dq of the last tick
  JointVector<N> change_ = JointVector<N>::Zero();     // and what it had changed by
  bool moved_ = false;            // the target, since the last tick
  std::int64_t excused_ = 0;      // ticks in which swings do not count yet
  Joint joints_[N];
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__OSCILLATION_HPP_
