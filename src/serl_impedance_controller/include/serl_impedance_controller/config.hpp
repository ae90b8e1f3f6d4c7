// SPDX-License-Identifier: Apache-2.0
/// \file
/// Everything about the law that can be set, live, with the ranges it is checked against.
#ifndef SERL_IMPEDANCE_CONTROLLER__CONFIG_HPP_
#define SERL_IMPEDANCE_CONTROLLER__CONFIG_HPP_

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// Where the diagonal damping D comes from.
enum class DampingKind : std::uint8_t
{
  kFixed,  ///< `damping` as given
  kRatio   ///< D_i = 2 zeta_i sqrt(K_i m_i), m_i the inertia that the tcp shows along axis i; kFixed if no mass matrix
};

/// What velocity the damper acts on (see impedance_law.hpp).
enum class DampedVelocity : std::uint8_t
{
  kMeasured,  ///< all of it
  kRelative   ///< only what the moving target does not ask for
};

constexpr double kMaxTranslationalStiffness = 10000.0;  // [N/m]
constexpr double kMaxRotationalStiffness = 1000.0;      // [Nm/rad]
constexpr double kMaxTranslationalDamping = 2000.0;     // [Ns/m]
constexpr double kMaxRotationalDamping = 200.0;         // [Nms/rad]
constexpr double kMaxTranslationalClip = 0.5;           // [m]
constexpr double kMaxRotationalClip = 3.14;             // [rad]
constexpr double kMaxLinearSpeed = 5.0;                 // [m/s]
constexpr double kMaxAngularSpeed = 20.0;               // [rad/s]

constexpr double kSpeedBand = 0.1;     ///< share of a speed limit over which a push fades out below it
constexpr double kPoseSpeedBand = 0.5;  ///< the same in pose mode, where a push has a spring behind it that grows
constexpr double kSpeedExcess = 0.25;  ///< share of it by which exceeding it faults; the torque rate limit needs some
constexpr double kUnlimited = std::numeric_limits<double>::infinity();   ///< a limit that is not there

inline Vector6 six(double linear, double angular)
{
  Vector6 v;
  v << linear, linear, linear, angular, angular, angular;
  return v;
}

/// Torque limits of the Franka Panda [Nm] for seven joints, else one value that suits no arm in particular.
template <int N>
JointVector<N> default_torque_limit()
{
  JointVector<N> limit = JointVector<N>::Constant(87.0);
  if constexpr (N == 7) {
    limit.template tail<3>().setConstant(12.0);
  }
  return limit;
}

/// What does not depend on the number of joints.
struct TaskConfig
{
  double frequency = 1000.0;                    ///< control rate f [Hz]
  GainFrame gain_frame = GainFrame::kBase;      ///< axes of stiffness, damping and clips

  Vector6 stiffness = six(2000.0, 150.0);       ///< k_p [N/m, Nm/rad]
  Vector6 damping = six(89.0, 7.0);             ///< k_d [Ns/m, Nms/rad], for DampingKind::kFixed
  Vector6 damping_ratio = six(1.0, 1.0);        ///< zeta, for DampingKind::kRatio
  DampingKind damping_kind = DampingKind::kFixed;
  DampedVelocity damped_velocity = DampedVelocity::kMeasured;

  Vector6 clip_pos = six(0.01, 0.05);           ///< largest positive e = p - p_ref [m, rad]
  Vector6 clip_neg = six(0.01, 0.05);           ///< largest negative e, given as a positive number [m, rad]
  double smoothing = 0.005;                     ///< per-tick coefficient of the target's low-pass and slerp, (0, 1]

  double pose_linear_speed = 0.5;               ///< of the reference and of the tcp it draws, pose mode [m/s]
  double pose_angular_speed = 2.5;              ///< the same for its turning [rad/s]

  double pose_timeout = 0.5;                    ///< age at which a target pose is stale [s]
  double wrench_timeout = 0.2;                  ///< age at which a target wrench is stale [s]

  Vector6 wrench_limit = six(20.0, 5.0);        ///< |target wrench| in the tool frame [N, Nm]
  Vector6 wrench_damping = Vector6::Zero();     ///< viscous term of the wrench mode, tool frame [Ns/m, Nms/rad]
  Vector6 wrench_stiffness = Vector6::Zero();   ///< pull to where the wrench mode began, its axes [N/m, Nm/rad]

  double wrench_linear_speed = 2.0;             ///< of the tcp, which the wrench mode does not push beyond [m/s]
  double wrench_angular_speed = 8.0;            ///< the same for its turning [rad/s]

  Vector3 workspace_low = Vector3::Constant(-kUnlimited);    ///< box in base [m]
  Vector3 workspace_high = Vector3::Constant(kUnlimited);
  Eigen::Quaterniond workspace_orientation = Eigen::Quaterniond::Identity();  ///< the turn below is from it; unit
  double workspace_max_rotation = kUnlimited;        ///< largest angle from it [rad]; pi and more: any
  double workspace_stiffness = 1000.0;          ///< pull back into the box in wrench mode [N/m]
  double workspace_damping = 60.0;              ///< the least of it; with a mass matrix it is critical [Ns/m]
  double workspace_rotational_stiffness = 100.0;  ///< the same for the turn [Nm/rad]
  double workspace_rotational_damping = 2.0;    ///< [Nms/rad]
  double workspace_margin = 0.1;                ///< depth outside the box at which wrench mode faults [m]
  double workspace_rotation_margin = 0.3;       ///< turn beyond the largest one at which it does [rad]
  double workspace_patience = 1.0;              ///< and time that it may be outside by more than half of that [s]

  double joint_margin = 0.15;                   ///< distance from a joint's limit at which nothing pushes on [rad]
  double oscillation_speed = 0.15;              ///< of a joint: smaller swings are no oscillation [rad/s]
  double delay = 0.002;                         ///< from a measurement to its torque, ticks apart; for the checks [s]
};

template <int N>
struct Config : TaskConfig
{
  JointVector<N> nullspace_stiffness = JointVector<N>::Constant(0.2);  ///< [Nm/rad]
  JointVector<N> nullspace_damping = JointVector<N>::Constant(0.9);    ///< [Nms/rad]

  JointVector<N> torque_rate = JointVector<N>::Constant(1.0);          ///< [Nm/tick], on the whole command
  JointVector<N> torque_limit = default_torque_limit<N>();             ///< [Nm], on the whole command

  JointVector<N> joint_low = JointVector<N>::Constant(-kUnlimited);         ///< [rad]; without both, the joint may wrap
  JointVector<N> joint_high = JointVector<N>::Constant(kUnlimited);
  JointVector<N> joint_speed = JointVector<N>::Constant(kUnlimited);        ///< nothing pushes a joint beyond it [rad/s]
};

/// First field found out of range: enough to word an error without allocating.
struct ConfigError
{
  const char * field;
  int index;      ///< element, or -1 for a scalar
  double value;
  double low;
  double high;
};

namespace detail
{

class ConfigChecker
{
public:
  void scalar(const char * field, double value, double low, double high, int index = -1)
  {
    if (!error && !(value >= low && value <= high)) {  // written so that NaN fails
      error = ConfigError{field, index, value, low, high};
    }
  }

  template <typename Vector>
  void vector(const char * field, const Vector & value, double low, double high)
  {
    for (int i = 0; i < value.size(); ++i) {
      scalar(field, value[i], low, high, i);
    }
  }

  void twist(const char * field, const Vector6 & value, double low, double high_linear, double high_angular)
  {
    for (int i = 0; i < 6; ++i) {
      scalar(field, value[i], low, i < 3 ? high_linear : high_angular, i);
    }
  }

  std::optional<ConfigError> error;
};

}  // namespace detail

/// Check every field against its range; nothing if all is well.
template <int N>
std::optional<ConfigError> validate(const Config<N> & c)
{
  detail::ConfigChecker check;
  check.scalar("frequency", c.frequency, 100.0, 20000.0);
  check.twist("stiffness", c.stiffness, 0.0, kMaxTranslationalStiffness, kMaxRotationalStiffness);
  check.twist("damping", c.damping, 0.0, kMaxTranslationalDamping, kMaxRotationalDamping);
  check.vector("damping_ratio", c.damping_ratio, 0.0, 3.0);
  check.twist("clip_pos", c.clip_pos, 1e-6, kMaxTranslationalClip, kMaxRotationalClip);
  check.twist("clip_neg", c.clip_neg, 1e-6, kMaxTranslationalClip, kMaxRotationalClip);
  check.scalar("smoothing", c.smoothing, 1e-5, 1.0);
  check.vector("nullspace_stiffness", c.nullspace_stiffness, 0.0, 200.0);
  check.vector("nullspace_damping", c.nullspace_damping, 0.0, 50.0);
  check.vector("torque_rate", c.torque_rate, 1e-3, 1000.0);
  check.vector("torque_limit", c.torque_limit, 1e-3, 1000.0);
  check.scalar("pose_linear_speed", c.pose_linear_speed, 0.02, kUnlimited);
  check.scalar("pose_angular_speed", c.pose_angular_speed, 0.05, kUnlimited);
  check.scalar("pose_timeout", c.pose_timeout, 1e-3, 3600.0);
  check.scalar("wrench_timeout", c.wrench_timeout, 1e-3, 3600.0);
  check.twist("wrench_limit", c.wrench_limit, 0.0, 200.0, 50.0);
  check.twist("wrench_damping", c.wrench_damping, 0.0, kMaxTranslationalDamping, kMaxRotationalDamping);
  check.twist("wrench_stiffness", c.wrench_stiffness, 0.0, kMaxTranslationalStiffness, kMaxRotationalStiffness);
  check.scalar("wrench_linear_speed", c.wrench_linear_speed, 0.2, kMaxLinearSpeed);
  check.scalar("wrench_angular_speed", c.wrench_angular_speed, 0.5, kMaxAngularSpeed);
  for (int i = 0; i < 3; ++i) {
    check.scalar("workspace_low", c.workspace_low[i], -kUnlimited, kUnlimited, i);
    check.scalar("workspace_high", c.workspace_high[i], c.workspace_low[i], kUnlimited, i);
  }
  check.scalar("workspace_orientation (its norm)", c.workspace_orientation.norm(), 0.999, 1.001);
  check.scalar("workspace_max_rotation", c.workspace_max_rotation, 0.05, kUnlimited);
  check.scalar("workspace_stiffness", c.workspace_stiffness, 0.0, kMaxTranslationalStiffness);
  check.scalar("workspace_damping", c.workspace_damping, 0.0, kMaxTranslationalDamping);
  check.scalar("workspace_rotational_stiffness", c.workspace_rotational_stiffness, 0.0, kMaxRotationalStiffness);
  check.scalar("workspace_rotational_damping", c.workspace_rotational_damping, 0.0, kMaxRotationalDamping);
  check.scalar("workspace_margin", c.workspace_margin, 0.0, 1.0);
  check.scalar("workspace_rotation_margin", c.workspace_rotation_margin, 0.0, M_PI);
  check.scalar("workspace_patience", c.workspace_patience, 0.05, 3600.0);
  for (int i = 0; i < N; ++i) {
    check.scalar("joint_low", c.joint_low[i], -kUnlimited, kUnlimited, i);
    check.scalar("joint_high", c.joint_high[i], c.joint_low[i], kUnlimited, i);
  }
  check.vector("joint_speed", c.joint_speed, 0.05, kUnlimited);
  check.scalar("joint_margin", c.joint_margin, 0.0, 1.0);
  check.scalar("oscillation_speed", c.oscillation_speed, 0.01, kUnlimited);
  check.scalar("delay", c.delay, 0.0, 0.1);
  return check.error;
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__CONFIG_HPP_
