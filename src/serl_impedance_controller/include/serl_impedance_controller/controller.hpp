// SPDX-License-Identifier: Apache-2.0
/// \file
/// The controller: modes, targets, faults and the tick. No clock, no allocation, no lock, no exception.
#ifndef SERL_IMPEDANCE_CONTROLLER__CONTROLLER_HPP_
#define SERL_IMPEDANCE_CONTROLLER__CONTROLLER_HPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/fault.hpp"
#include "serl_impedance_controller/impedance_law.hpp"
#include "serl_impedance_controller/joint_guard.hpp"
#include "serl_impedance_controller/oscillation.hpp"
#include "serl_impedance_controller/soft_hold.hpp"
#include "serl_impedance_controller/target_filter.hpp"
#include "serl_impedance_controller/targets.hpp"
#include "serl_impedance_controller/task_dynamics.hpp"
#include "serl_impedance_controller/torque_limiter.hpp"
#include "serl_impedance_controller/types.hpp"
#include "serl_impedance_controller/workspace.hpp"
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
/// usable one if the measurement itself is bad) is held by the impedance law, with its force bound; after an oscillation,
/// the joints are held softly instead (soft_hold.hpp). While the
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

  /// Take over a configuration if every field is in range; otherwise say which is not and change nothing. Whether the
  /// loop is stable with it depends on the arm: see stability.hpp.
  std::optional<ConfigError> configure(const Config<N> & config)
  {
    auto error = validate(config);
    if (!error) {
      config_ = config;
    }
    return error;
  }

  const Config<N> & config() const {return config_;}

  /// Forget targets, torque history and the posture; the next tick holds the measured pose and ramps up from the bias.
  /// A latched fault stays latched.
  void activate()
  {
    restart_reference();
    torque_limiter_.reset();
    has_found_posture_ = false;
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
    raise(check_target(pose, stamp, frame == base_frame_));
    if (!latch_ && targets_.take(Pose{pose.position, pose.orientation.normalized()}, stamp, state_.mode)) {
      oscillation_.excuse();
    }
  }

  void set_target_pose(const Pose & pose, double stamp) {set_target_pose(pose, stamp, base_frame_);}

  /// Target wrench at the tcp in the tool frame; F_ff of eq. (7) in Mode::kPose. In Mode::kWrench one that is not newer
  /// than a target pose comes too late.
  void set_target_wrench(const Vector6 & wrench, double stamp, std::uint64_t frame)
  {
    raise(check_target(wrench, stamp, frame == tool_frame_));
    if (!latch_ && targets_.take(limit_wrench(config_, wrench), stamp, state_.mode)) {
      oscillation_.excuse();
    }
  }

  void set_target_wrench(const Vector6 & wrench, double stamp) {set_target_wrench(wrench, stamp, tool_frame_);}

  /// Latch a fault that only the caller can see, such as a second sender of targets.
  void fail(const Fault & fault) {raise(fault);}

  /// Drop the targets and hold the pose measured at the next tick; no target, no watchdog.
  void clear_target() {restart_reference();}

  /// Posture the null-space term pulls towards [rad]; by default the one measured at the first tick after construction
  /// or activate(), which changes of mode and resets of faults keep.
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
      soft_hold_.release();
      restart_reference();
    }
  }

  /// A target is too old at `time`, or as far in the future: the next tick will latch a fault.
  bool target_is_stale(double time) const {return static_cast<bool>(targets_.check(config_, time));}

  const Fault & fault() const {return latch_.fault();}
  const State<N> & state() const {return state_;}
  const Vector6 & target_wrench() const {return targets_.wrench();}

  /// Of the soft hold after an oscillation [rad/s]; 0: there is none.
  double soft_bandwidth() const {return soft_hold_.bandwidth();}

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
    has_bias_ = true;
    if (!dynamics_.compute(m.jacobian, m.mass, m.has_mass)) {
      latch_.raise(FaultCode::kBadInertia, "mass matrix", m.time);
    }
    const Vector6 twist = m.jacobian.lazyProduct(m.dq);
    raise(targets_.check(config_, m.time));
    check_wrench_mode(twist, m.time);
    check_joints(m);
    take_reference(m);

    const Vector6 wrench = soft_hold_ ? held_softly() : wanted_wrench(twist);
    TorqueParts<N> parts;
    parts.force = m.jacobian.template topRows<3>().transpose().lazyProduct(wrench.template head<3>());
    parts.moment = m.jacobian.template bottomRows<3>().transpose().lazyProduct(wrench.template tail<3>());
    parts.posture = soft_hold_ ? soft_hold_.torque(m) : dynamics_.project(m.jacobian, posture_torque(m));
    torque_limiter_.begin(config_.torque_limit, config_.torque_rate);
    const JointVector<N> torque = guard_joints(config_, m, dynamics_, torque_limiter_.fit(parts, m.bias));
    if (!parts.sum().allFinite() || !torque.allFinite()) {  // finite inputs too large to compute with
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
    targets_.clear();
  }

  void raise(const Fault & fault)
  {
    if (fault) {
      latch_.raise(fault.code, fault.input, fault.time, fault.value);
    }
  }

  bool check_measurement(const Measurement<N> & m)
  {
    if (const char * input = first_not_finite(m)) {
      latch_.raise(FaultCode::kNotFinite, input, m.time);
      return false;
    }
    if (const Suspect suspect = first_implausible(m); suspect.input != nullptr) {
      latch_.raise(FaultCode::kImplausible, suspect.input, m.time, suspect.value);
      return false;
    }
    if (!is_unit(m.pose.orientation)) {
      latch_.raise(FaultCode::kBadQuaternion, "measured pose", m.time, m.pose.orientation.norm());
      return false;
    }
    return true;
  }

  /// While a wrench rules, only the workspace's barrier draws the arm back: far outside it has failed, and half as far
  /// out for long it is not enough.
  void check_wrench_mode(const Vector6 & twist, double time)
  {
    if (state_.mode != Mode::kWrench || !targets_.has_wrench()) {
      outside_since_ = kUnlimited;
      return;
    }
    const double depth = outside_workspace(config_, state_.measured.position).template lpNorm<Eigen::Infinity>();
    const double turn = bounds_rotation(config_) ?
      turn_in_workspace(config_, state_.measured.orientation).norm() - config_.workspace_max_rotation : 0.0;
    if (depth <= 0.5 * config_.workspace_margin && turn <= 0.5 * config_.workspace_rotation_margin) {
      outside_since_ = kUnlimited;
    } else {
      outside_since_ = std::min(outside_since_, time);
      const bool lasts = time - outside_since_ > config_.workspace_patience;
      if (depth > (lasts ? 0.5 : 1.0) * config_.workspace_margin) {
        latch_.raise(FaultCode::kOutsideWorkspace, "measured pose", time, depth);
      } else if (turn > (lasts ? 0.5 : 1.0) * config_.workspace_rotation_margin) {
        latch_.raise(FaultCode::kOutsideWorkspace, "measured orientation", time, turn);
      }
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

  void check_joints(const Measurement<N> & m)
  {
    for (int i = 0; i < N; ++i) {
      check_speed("joint speed", std::abs(m.dq[i]), config_.joint_speed[i], m.time);
    }
    if (!has_reference_) {
      oscillation_.reset(m.dq);
    }
    if (state_.mode == Mode::kWrench && targets_.has_wrench()) {
      // No spring is there that could oscillate: whoever pushes makes swings, and barriers and guards end them.
      oscillation_.excuse();
    }
    const Oscillation found = oscillation_.step(m.dq, config_.oscillation_speed, config_.frequency);
    if (found.size > 0.0) {
      soft_hold_.begin(m.q, found.half_period);
      oscillation_.reset(m.dq);
      latch_.raise(FaultCode::kOscillation, "joint velocities", m.time, found.size);
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
    bounds_.reset(config_, hold_pose_);
    if (!has_posture_ && !has_found_posture_) {
      posture_ = m.q;
      has_found_posture_ = true;
    }
    has_reference_ = true;
  }

  /// The tcp's wrench while the joints are held instead: none.
  Vector6 held_softly()
  {
    state_.holding = true;
    state_.commanded = state_.smoothed = hold_pose_;
    state_.limited = state_.measured;
    state_.error = state_.limited_error = state_.damping = Vector6::Zero();
    return Vector6::Zero();
  }

  Vector6 wanted_wrench(const Vector6 & twist)
  {
    const bool wrench_mode = state_.mode == Mode::kWrench && targets_.has_wrench() && !latch_;
    state_.holding = !wrench_mode && !targets_.has_pose();
    const Matrix6 * mobility = dynamics_.has_inertia() ? &dynamics_.mobility() : nullptr;
    if (wrench_mode) {
      // The reference follows the arm, so that whatever holds next starts from where the arm is.
      hold_pose_ = state_.measured;
      filter_.reset(hold_pose_);
      bounds_.reset(config_, hold_pose_);
      state_.commanded = state_.smoothed = state_.limited = hold_pose_;
      state_.error.setZero();
      state_.limited_error.setZero();
      state_.damping = config_.wrench_damping;
      return wrench_law(
        config_, state_.measured, twist, targets_.wrench(), centring_wrench(config_, state_.measured, centre_), mobility);
    }
    state_.commanded =
      targets_.has_pose() ? bounds_.inside(config_, state_.measured, targets_.pose()) : hold_pose_;
    filter_.step(
      state_.commanded, config_.smoothing, config_.frequency, config_.pose_linear_speed, config_.pose_angular_speed);
    const ImpedanceResult result = impedance_law(
      config_, state_.measured, twist, filter_.pose(), filter_.twist(), mobility);
    state_.smoothed = filter_.pose();
    state_.limited = result.limited;
    state_.error = result.error;
    state_.limited_error = result.limited_error;
    state_.damping = result.damping;
    Vector6 wrench = result.wrench;
    if (targets_.has_wrench()) {
      wrench += feed_forward(twist, mobility);
    }
    // Whatever the spring is stretched by, the tcp goes little faster than the reference.
    wrench.head<3>() = limit_pose_speed(0, wrench.head<3>(), twist.head<3>(), config_.pose_linear_speed, mobility);
    wrench.tail<3>() = limit_pose_speed(3, wrench.tail<3>(), twist.tail<3>(), config_.pose_angular_speed, mobility);
    return wrench;
  }

  Vector3 limit_pose_speed(
    int block, const Vector3 & push, const Vector3 & velocity, double limit, const Matrix6 * mobility) const
  {
    const double speed = velocity.norm();
    double brake = 0.0;
    if (speed > limit && mobility != nullptr) {
      brake = 2.0 * guard_bandwidth(config_) * shown_inertia(*mobility, block, velocity / speed);
    }
    return limit_speed(push, velocity, limit, kPoseSpeedBand, brake);
  }

  /// F_ff of eq. (7), base axes: it obeys the workspace as a wrench task's does.
  Vector6 feed_forward(const Vector6 & twist, const Matrix6 * mobility) const
  {
    const Vector6 wrench =
      rotate(state_.measured.orientation.toRotationMatrix(), limit_wrench(config_, targets_.wrench()));
    return keep_inside(config_, state_.measured, twist, wrench, mobility, false);
  }

  JointVector<N> posture_torque(const Measurement<N> & m) const
  {
    return config_.nullspace_stiffness.cwiseProduct(posture_error(config_, posture_, m.q)) -
           config_.nullspace_damping.cwiseProduct(m.dq);
  }

  /// The measurement cannot be used: let the torque run down to the bias.
  const JointVector<N> & run_down(const Measurement<N> & m)
  {
    if (m.bias.allFinite() && m.bias.cwiseAbs().maxCoeff() <= kPlausibleTorque) {
      last_bias_ = m.bias;
      has_bias_ = true;
    }
    if (!hold_latched_ && !has_reference_) {
      // No usable pose has been seen: the first usable one will be taken as the reference.
      state_.holding = true;
    } else if (!hold_latched_) {
      restart_reference();
      hold_pose_ = state_.measured;
      filter_.reset(hold_pose_);
      bounds_.reset(config_, hold_pose_);
      has_reference_ = true;
      state_.holding = true;
      state_.commanded = state_.smoothed = state_.limited = hold_pose_;
    }
    hold_latched_ = true;
    state_.wrench.setZero();
    if (!has_bias_) {  // nothing is known yet that holds the arm up, and no command has been given
      state_.torque.setZero();
      return state_.torque;
    }
    torque_limiter_.begin(config_.torque_limit, config_.torque_rate);
    return finish(JointVector<N>::Zero(), last_bias_);
  }

  const JointVector<N> & finish(const JointVector<N> & torque, const JointVector<N> & bias)
  {
    state_.torque = torque_limiter_.approach(torque, bias, config_.torque_rate);
    return state_.torque;
  }

  Config<N> config_;
  std::uint64_t base_frame_;
  std::uint64_t tool_frame_;

  TaskDynamics<N> dynamics_;
  TargetFilter filter_;
  TargetBounds bounds_;
  TorqueLimiter<N> torque_limiter_;
  OscillationMonitor<N> oscillation_;
  SoftHold<N> soft_hold_;
  FaultLatch latch_;
  Targets targets_;
  State<N> state_;

  Pose hold_pose_;
  Pose centre_;                 // where the reference was last taken: what the wrench mode is drawn to
  bool has_reference_ = false;
  bool hold_latched_ = false;   // the reference belongs to the latched fault
  double outside_since_ = kUnlimited;   // [s]
  JointVector<N> posture_ = JointVector<N>::Zero();
  bool has_posture_ = false;         // given
  bool has_found_posture_ = false;   // measured
  JointVector<N> last_bias_ = JointVector<N>::Zero();
  bool has_bias_ = false;
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__CONTROLLER_HPP_
