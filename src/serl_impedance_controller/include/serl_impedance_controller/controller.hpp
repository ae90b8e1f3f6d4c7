// SPDX-License-Identifier: Apache-2.0
/// \file
/// The controller: modes, targets, faults and the tick. No clock, no allocation, no lock, no exception.
#ifndef SERL_IMPEDANCE_CONTROLLER__CONTROLLER_HPP_
#define SERL_IMPEDANCE_CONTROLLER__CONTROLLER_HPP_

#include <cmath>
#include <cstdint>
#include <optional>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/fault.hpp"
#include "serl_impedance_controller/impedance_law.hpp"
#include "serl_impedance_controller/target_filter.hpp"
#include "serl_impedance_controller/task_dynamics.hpp"
#include "serl_impedance_controller/torque_limiter.hpp"
#include "serl_impedance_controller/types.hpp"
#include "serl_impedance_controller/wrench_law.hpp"

namespace serl_impedance_controller
{

/// What the last tick did, for logging and for drawing (SERL, Fig. 3). Poses in base.
template <int N>
struct State
{
  Mode mode = Mode::kPose;
  bool active = false;            ///< a tick has been run since construction or activate()
  bool holding = true;            ///< the reference is a held pose: no target yet, or a fault
  double time = 0.0;              ///< [s]
  Pose measured;
  Pose commanded;                 ///< target as received, inside the workspace box; the held pose while holding
  Pose smoothed;                  ///< after the low-pass and slerp
  Pose limited;                   ///< after the reference limit; what the spring is attached to
  Vector6 error = Vector6::Zero();          ///< e = p - p_ref before the limit, gain frame [m, rad]
  Vector6 limited_error = Vector6::Zero();  ///< after the limit
  Vector6 damping = Vector6::Zero();        ///< D used, gain frame [Ns/m, Nms/rad]
  Vector6 wrench = Vector6::Zero();         ///< wanted tcp wrench before the rate limit, base axes [N, Nm]
  JointVector<N> torque = JointVector<N>::Zero();  ///< commanded torque, bias included [Nm]
};

/// Cartesian impedance and feed-forward wrench control of an arm with N joints.
///
/// The first tick after construction, activate(), set_mode() and reset_fault() takes the measured pose as the
/// reference, which is held until a target arrives. Changes of mode, target and gains pass the torque rate
/// limit, so the torque (less the bias) never changes by more than that in a tick.
///
/// A fault latches. From the tick that sees it, targets are ignored and the pose measured at that tick (the last
/// usable one if the measurement itself is bad) is held by the impedance law, with its force bound. While the
/// measurement stays bad, nothing can be held: the torque runs down to the last good bias at the rate limit.
/// Only reset_fault() ends it.
template <int N>
class Controller
{
public:
  /// \param base_frame  frame_hash() of the frame target poses must be in
  /// \param tool_frame  frame_hash() of the frame target wrenches must be in
  explicit Controller(
    std::uint64_t base_frame = frame_hash("base"), std::uint64_t tool_frame = frame_hash("tcp"))
  : base_frame_(base_frame), tool_frame_(tool_frame)
  {
  }

  /// Take over a configuration if every field is in range; otherwise say which is not and change nothing.
  std::optional<ConfigError> configure(const Config<N> & config)
  {
    auto error = validate(config);
    if (!error) {
      config_ = config;
    }
    return error;
  }

  const Config<N> & config() const {return config_;}

  /// Forget targets and torque history; the next tick holds the measured pose and ramps up from the bias.
  /// A latched fault stays latched.
  void activate()
  {
    restart_reference();
    torque_limiter_.reset();
    state_.active = false;
  }

  /// Change mode without a step in torque: the measured pose is held until the mode's target arrives.
  void set_mode(Mode mode)
  {
    if (mode != state_.mode) {
      state_.mode = mode;
      restart_reference();
    }
  }

  /// Target pose of the tcp in base. In Mode::kWrench it takes the place of the target wrench until a newer one comes:
  /// without a wrench an arm would go on with the speed it has, a pose brakes it and holds it.
  void set_target_pose(const Pose & pose, double stamp, std::uint64_t frame)
  {
    if (!check_target("target pose", stamp, frame == base_frame_,
      pose.position.allFinite() && pose.orientation.coeffs().allFinite()))
    {
      return;
    }
    if (!is_unit(pose.orientation)) {
      latch_.raise(FaultCode::kBadQuaternion, "target pose", stamp, pose.orientation.norm());
      return;
    }
    const bool outdated = state_.mode == Mode::kWrench && has_wrench_target_ && stamp < wrench_stamp_;
    if (!latch_ && !outdated) {
      pose_target_.orientation = pose.orientation.normalized();
      pose_target_.position =
        pose.position.cwiseMax(config_.workspace_low).cwiseMin(config_.workspace_high);
      pose_stamp_ = stamp;
      has_pose_target_ = true;
      if (state_.mode == Mode::kWrench) {
        has_wrench_target_ = false;
        wrench_target_.setZero();
      }
    }
  }

  void set_target_pose(const Pose & pose, double stamp) {set_target_pose(pose, stamp, base_frame_);}

  /// Target wrench at the tcp in the tool frame; F_ff of eq. (7) in Mode::kPose. In Mode::kWrench one that is not newer
  /// than a target pose comes too late.
  void set_target_wrench(const Vector6 & wrench, double stamp, std::uint64_t frame)
  {
    if (!check_target("target wrench", stamp, frame == tool_frame_, wrench.allFinite()) || latch_) {
      return;
    }
    const bool held = state_.mode == Mode::kWrench && has_pose_target_;
    if (!held || stamp > pose_stamp_) {
      has_pose_target_ = has_pose_target_ && !held;
      wrench_target_ = limit_wrench(config_, wrench);
      wrench_stamp_ = stamp;
      has_wrench_target_ = true;
    }
  }

  void set_target_wrench(const Vector6 & wrench, double stamp) {set_target_wrench(wrench, stamp, tool_frame_);}

  /// Drop the targets and hold the pose measured at the next tick; no target, no watchdog.
  void clear_target() {restart_reference();}

  /// Posture the null-space term pulls towards [rad]; by default the one measured when the reference was taken.
  /// Returns false, and changes nothing, if it is not finite.
  bool set_nullspace_posture(const JointVector<N> & posture)
  {
    if (!posture.allFinite()) {
      return false;
    }
    posture_ = posture;
    has_posture_ = true;
    return true;
  }

  /// End a fault: back to holding the measured pose, without a target.
  void reset_fault()
  {
    if (latch_) {
      latch_.reset();
      hold_latched_ = false;
      restart_reference();
    }
  }

  /// A target is too old at `time`, or as far in the future: the next tick will latch a fault.
  bool target_is_stale(double time) const
  {
    return is_stale(has_pose_target_, pose_stamp_, config_.pose_timeout, time) ||
           is_stale(has_wrench_target_, wrench_stamp_, config_.wrench_timeout, time);
  }

  const Fault & fault() const {return latch_.fault();}
  const State<N> & state() const {return state_;}
  const Vector6 & target_wrench() const {return wrench_target_;}

  /// One tick. Returns the joint torques to command, bias included [Nm]; always finite.
  const JointVector<N> & update(const Measurement<N> & m)
  {
    state_.active = true;
    if (!check_measurement(m)) {
      return run_down(m);
    }
    state_.time = m.time;
    state_.measured.position = m.pose.position;
    state_.measured.orientation = m.pose.orientation.normalized();
    last_bias_ = m.bias;
    const bool inertia_ok = dynamics_.compute(m.jacobian, m.mass, m.has_mass);
    if (!inertia_ok) {
      latch_.raise(FaultCode::kBadInertia, "mass matrix", m.time);
    }
    const Vector6 twist = m.jacobian.lazyProduct(m.dq);
    check_targets(m.time);
    check_wrench_mode(twist, m.time);
    take_reference(m);

    const Vector6 wrench = wanted_wrench(twist);
    JointVector<N> torque = m.jacobian.transpose().lazyProduct(wrench);
    torque += dynamics_.project(m.jacobian, posture_torque(m));
    if (!torque.allFinite()) {  // finite inputs too large to compute with
      latch_.raise(FaultCode::kNotFinite, "computed torque", m.time);
      return run_down(m);
    }
    state_.wrench = wrench;
    return finish(torque, m.bias);
  }

private:
  void restart_reference()
  {
    has_reference_ = false;
    has_pose_target_ = false;
    has_wrench_target_ = false;
    wrench_target_.setZero();
  }

  bool check_target(const char * input, double stamp, bool frame_ok, bool finite)
  {
    if (!frame_ok) {
      latch_.raise(FaultCode::kBadFrame, input, stamp);
    } else if (!finite || !std::isfinite(stamp)) {
      latch_.raise(FaultCode::kNotFinite, input, stamp);
    } else {
      return true;
    }
    return false;
  }

  bool check_measurement(const Measurement<N> & m)
  {
    if (const char * input = first_not_finite(m)) {
      latch_.raise(FaultCode::kNotFinite, input, m.time);
      return false;
    }
    if (!is_unit(m.pose.orientation)) {
      latch_.raise(FaultCode::kBadQuaternion, "measured pose", m.time, m.pose.orientation.norm());
      return false;
    }
    return true;
  }

  static bool is_stale(bool present, double stamp, double limit, double time)
  {
    // A stamp as far in the future is as wrong: another clock, or one that was set back.
    return present && std::abs(time - stamp) > limit;
  }

  void check_age(const char * input, bool present, double stamp, double limit, double time)
  {
    if (is_stale(present, stamp, limit, time)) {
      latch_.raise(FaultCode::kStaleTarget, input, time, time - stamp);
    }
  }

  void check_targets(double time)
  {
    check_age("target pose", has_pose_target_, pose_stamp_, config_.pose_timeout, time);
    check_age("target wrench", has_wrench_target_, wrench_stamp_, config_.wrench_timeout, time);
  }

  /// While a wrench rules, nothing draws the arm back from far outside the box or brakes it.
  void check_wrench_mode(const Vector6 & twist, double time)
  {
    if (state_.mode != Mode::kWrench || !has_wrench_target_) {
      return;
    }
    const double depth =
      outside_workspace(config_, state_.measured.position).template lpNorm<Eigen::Infinity>();
    if (depth > config_.workspace_margin) {
      latch_.raise(FaultCode::kOutsideWorkspace, "measured pose", time, depth);
    }
    check_speed("linear speed", twist.template head<3>().norm(), config_.wrench_linear_speed, time);
    check_speed("angular speed", twist.template tail<3>().norm(), config_.wrench_angular_speed, time);
  }

  void check_speed(const char * input, double speed, double limit, double time)
  {
    if (speed > (1.0 + kSpeedExcess) * limit) {
      latch_.raise(FaultCode::kTooFast, input, time, speed);
    }
  }

  /// Take the measured pose as the reference where one is due: first tick, restart, first tick of a fault.
  void take_reference(const Measurement<N> & m)
  {
    if (latch_ && !hold_latched_) {
      restart_reference();
    }
    hold_latched_ = static_cast<bool>(latch_);
    if (has_reference_) {
      return;
    }
    hold_pose_ = centre_ = state_.measured;
    filter_.reset(hold_pose_);
    if (!has_posture_) {
      posture_ = m.q;
    }
    has_reference_ = true;
  }

  Vector6 wanted_wrench(const Vector6 & twist)
  {
    const bool wrench_mode = state_.mode == Mode::kWrench && has_wrench_target_ && !latch_;
    state_.holding = !wrench_mode && !has_pose_target_;
    if (wrench_mode) {
      // The reference follows the arm, so that whatever holds next starts from where the arm is.
      hold_pose_ = state_.measured;
      filter_.reset(hold_pose_);
      state_.commanded = state_.smoothed = state_.limited = hold_pose_;
      state_.error.setZero();
      state_.limited_error.setZero();
      state_.damping = config_.wrench_damping;
      return wrench_law(config_, state_.measured, twist, wrench_target_) +
             centring_wrench(config_, state_.measured, centre_);
    }
    state_.commanded = has_pose_target_ ? pose_target_ : hold_pose_;
    filter_.step(state_.commanded, config_.smoothing, config_.frequency);
    const ImpedanceResult result = impedance_law(
      config_, state_.measured, twist, filter_.pose(), filter_.twist(),
      dynamics_.has_inertia() ? &dynamics_.lambda() : nullptr);
    state_.smoothed = filter_.pose();
    state_.limited = result.limited;
    state_.error = result.error;
    state_.limited_error = result.limited_error;
    state_.damping = result.damping;
    Vector6 wrench = result.wrench;
    if (has_wrench_target_) {
      wrench += rotate(state_.measured.orientation.toRotationMatrix(), limit_wrench(config_, wrench_target_));
    }
    return wrench;
  }

  JointVector<N> posture_torque(const Measurement<N> & m) const
  {
    return config_.nullspace_stiffness.cwiseProduct(posture_ - m.q) -
           config_.nullspace_damping.cwiseProduct(m.dq);
  }

  /// The measurement cannot be used: let the torque run down to the bias.
  const JointVector<N> & run_down(const Measurement<N> & m)
  {
    if (m.bias.allFinite()) {
      last_bias_ = m.bias;
    }
    if (!hold_latched_ && !has_reference_) {
      // No usable pose has been seen: the first usable one will be taken as the reference.
      state_.holding = true;
    } else if (!hold_latched_) {
      restart_reference();
      hold_pose_ = state_.measured;
      filter_.reset(hold_pose_);
      has_reference_ = true;
      state_.holding = true;
      state_.commanded = state_.smoothed = state_.limited = hold_pose_;
    }
    hold_latched_ = true;
    state_.wrench.setZero();
    return finish(JointVector<N>::Zero(), last_bias_);
  }

  const JointVector<N> & finish(const JointVector<N> & torque, const JointVector<N> & bias)
  {
    state_.torque = torque_limiter_.step(torque, bias, config_.torque_rate, config_.torque_limit);
    return state_.torque;
  }

  Config<N> config_;
  std::uint64_t base_frame_;
  std::uint64_t tool_frame_;

  TaskDynamics<N> dynamics_;
  TargetFilter filter_;
  TorqueLimiter<N> torque_limiter_;
  FaultLatch latch_;
  State<N> state_;

  Pose pose_target_;
  double pose_stamp_ = 0.0;
  bool has_pose_target_ = false;
  Vector6 wrench_target_ = Vector6::Zero();   // tool frame
  double wrench_stamp_ = 0.0;
  bool has_wrench_target_ = false;

  Pose hold_pose_;
  Pose centre_;                 // where the reference was last taken: what the wrench mode is drawn to
  bool has_reference_ = false;
  bool hold_latched_ = false;   // the reference belongs to the latched fault
  JointVector<N> posture_ = JointVector<N>::Zero();
  bool has_posture_ = false;
  JointVector<N> last_bias_ = JointVector<N>::Zero();
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__CONTROLLER_HPP_
