// SPDX-License-Identifier: Apache-2.0
/// \file
/// The target pose and the target wrench that are in force, with their stamps.
#ifndef SERL_IMPEDANCE_CONTROLLER__TARGETS_HPP_
#define SERL_IMPEDANCE_CONTROLLER__TARGETS_HPP_

#include <cmath>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/fault.hpp"
#include "serl_impedance_controller/rotation.hpp"
#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// Holds what has been checked. In wrench mode the newer of pose and wrench rules.
class Targets
{
public:
  void clear()
  {
    has_pose_ = has_wrench_ = false;
    wrench_.setZero();
  }

  /// Take a pose. False if it is the present one again, or comes too late.
  bool take(const Pose & pose, double stamp, Mode mode)
  {
    if (mode == Mode::kWrench && has_wrench_ && stamp < wrench_stamp_) {
      return false;
    }
    if (mode == Mode::kWrench) {
      has_wrench_ = false;
      wrench_.setZero();
    }
    const bool moved = !has_pose_ || differs(pose_error(pose, pose_), kSamePosition, kSameRotation);
    pose_ = pose;
    pose_stamp_ = stamp;
    has_pose_ = true;
    return moved;
  }

  /// Take a wrench. False if it is the present one again, or in wrench mode not newer than the pose.
  bool take(const Vector6 & wrench, double stamp, Mode mode)
  {
    const bool held = mode == Mode::kWrench && has_pose_;
    if (held && !(stamp > pose_stamp_)) {
      return false;
    }
    has_pose_ = has_pose_ && !held;
    const bool moved = !has_wrench_ || differs(wrench - wrench_, kSameForce, kSameTorque);
    wrench_ = wrench;
    wrench_stamp_ = stamp;
    has_wrench_ = true;
    return moved;
  }

  /// What is wrong with the targets' stamps at `time`, if anything.
  Fault check(const TaskConfig & config, double time) const
  {
    Fault fault = check(has_pose_, "target pose", pose_stamp_, config.pose_timeout, time);
    if (!fault) {
      fault = check(has_wrench_, "target wrench", wrench_stamp_, config.wrench_timeout, time);
    }
    return fault;
  }

  bool has_pose() const {return has_pose_;}
  bool has_wrench() const {return has_wrench_;}
  const Pose & pose() const {return pose_;}
  const Vector6 & wrench() const {return wrench_;}   ///< tool frame [N, Nm]

private:
  static constexpr double kSamePosition = 1e-4, kSameRotation = 1e-3, kSameForce = 0.1, kSameTorque = 0.01;

  static bool differs(const Vector6 & difference, double linear, double angular)
  {
    return difference.head<3>().norm() > linear || difference.tail<3>().norm() > angular;
  }

  static Fault check(bool present, const char * input, double stamp, double limit, double time)
  {
    // A stamp as far in the future is as wrong: another clock, or one that was set back. Zero is what a message has
    // whose sender never set it.
    if (!present || std::abs(time - stamp) <= limit) {
      return {};
    }
    return {stamp == 0.0 ? FaultCode::kNoStamp : FaultCode::kStaleTarget, input, time, time - stamp};
  }

  Pose pose_;
  double pose_stamp_ = 0.0;
  bool has_pose_ = false;
  Vector6 wrench_ = Vector6::Zero();
  double wrench_stamp_ = 0.0;
  bool has_wrench_ = false;
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__TARGETS_HPP_
