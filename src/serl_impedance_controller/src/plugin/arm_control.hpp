// SPDX-License-Identifier: Apache-2.0
/// \file
/// The law with its inputs from other threads, for a number of joints known at run time only. No ROS, no model.
#ifndef PLUGIN__ARM_CONTROL_HPP_
#define PLUGIN__ARM_CONTROL_HPP_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "arm_sample.hpp"
#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/fault.hpp"
#include "serl_impedance_controller/latest_value.hpp"
#include "serl_impedance_controller/stability.hpp"

namespace serl_impedance_controller
{

/// Everything about the control that can be set while it runs.
struct Settings
{
  TaskConfig task;
  Eigen::VectorXd nullspace_stiffness;   ///< per joint [Nm/rad]
  Eigen::VectorXd nullspace_damping;     ///< per joint [Nms/rad]
  Eigen::VectorXd nullspace_posture;     ///< per joint [rad], or empty: where the arm began to hold
  Eigen::VectorXd torque_rate;           ///< per joint [Nm/tick]
  Eigen::VectorXd torque_limit;          ///< per joint [Nm]
  Eigen::VectorXd joint_low;             ///< per joint [rad], or empty: no limits
  Eigen::VectorXd joint_high;            ///< per joint [rad], or empty
  Eigen::VectorXd joint_speed;           ///< per joint [rad/s], or empty: no limits
  Mode mode = Mode::kPose;
  bool hold_when_stale = false;          ///< a stale target is dropped instead of latching a fault
};

struct PoseTarget
{
  Pose pose;
  double stamp = 0.0;         ///< [s]
  std::uint64_t frame = 0;    ///< frame_hash()
};

struct WrenchTarget
{
  Vector6 wrench = Vector6::Zero();
  double stamp = 0.0;
  std::uint64_t frame = 0;
};

/// Two nodes that send the same kind of target.
struct SenderConflict
{
  static constexpr std::size_t kRoom = 160;

  const char * input = "";             ///< which target, a literal
  std::array<char, kRoom> senders{};   ///< their names, cut where they are long
};

/// What other threads see of the last tick.
struct ControlStatus
{
  std::uint64_t tick = 0;            ///< ticks since construction
  std::uint32_t resets = 0;          ///< requests of request_reset() that have been carried out
  std::uint32_t stale_targets = 0;   ///< targets dropped because hold_when_stale is set
  double time = 0.0;                 ///< [s]
  Mode mode = Mode::kPose;
  bool holding = true;
  Fault fault;
  std::array<char, SenderConflict::kRoom> senders{};   ///< of FaultCode::kTwoSenders, else empty
};

/// Methods marked (any thread) hand something over to the next tick; the others belong to the real-time thread and
/// neither allocate nor lock.
class ArmControl
{
public:
  /// The control of an arm with so many joints, or nullptr if no law is built for that number (see kJointNumbers).
  static std::unique_ptr<ArmControl> make(Eigen::Index joints, std::uint64_t base_frame, std::uint64_t tcp_frame);

  static constexpr const char * kJointNumbers = "6 or 7";

  ArmControl(std::uint64_t base_frame, std::uint64_t tcp_frame)
  : base_frame_(base_frame), tcp_frame_(tcp_frame)
  {
  }

  virtual ~ArmControl() = default;

  /// (any thread) Use these settings from the next tick on, or say what is out of range and change nothing.
  virtual std::optional<ConfigError> set(const Settings & settings) = 0;

  /// (any thread) A new target; the tick checks frame, age and numbers. A bad one latches a fault even if a good one
  /// follows before the tick.
  void set_target(const PoseTarget & target);
  void set_target(const WrenchTarget & target);

  /// (any thread) Two nodes send a target by turns: the next tick latches a fault and holds.
  ///
  /// \param input    which target, a literal
  /// \param senders  names of both
  void refuse_senders(const char * input, const std::string & senders);

  /// (any thread) End a fault at the next tick. Returns the value that ControlStatus::resets then reaches.
  std::uint32_t request_reset() {return ++reset_requests_;}

  /// (one other thread) The newest status.
  const ControlStatus & status()
  {
    status_.read();
    return status_.value();
  }

  /// Forget targets, history and faults; the next tick holds the measured pose.
  virtual void activate() = 0;

  /// One tick. Returns the joint torques, `bias` included [Nm]; always finite.
  ///
  /// \param bias  torques to add to what the law wants: Coriolis, and gravity unless the arm compensates it
  /// \param time  on the clock of the targets' stamps [s]
  virtual const Eigen::VectorXd & tick(const ArmSample & sample, const Eigen::VectorXd & bias, double time) = 0;

  /// Target after smoothing and reference limiting, in base.
  virtual const Pose & limited_target() const = 0;

  virtual const Fault & fault() const = 0;

  /// Names of those who sent targets by turns, for FaultCode::kTwoSenders; empty without that fault.
  virtual const char * senders() const = 0;

  /// (before activation) What the settings are worth with the arm at rest as `sample` says; allocates.
  virtual Stability stability(const Settings & settings, const ArmSample & sample) const = 0;

protected:
  std::uint64_t base_frame_;
  std::uint64_t tcp_frame_;
  LatestValue<PoseTarget> pose_target_;
  LatestValue<WrenchTarget> wrench_target_;
  LatestValue<PoseTarget> bad_pose_target_;       // apart, so that no good one takes their place unseen
  LatestValue<WrenchTarget> bad_wrench_target_;
  LatestValue<SenderConflict> conflict_;
  LatestValue<ControlStatus> status_;
  std::atomic<std::uint32_t> reset_requests_{0};
  std::mutex writers_;   // between threads that hand something over; never taken by the tick
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__ARM_CONTROL_HPP_
