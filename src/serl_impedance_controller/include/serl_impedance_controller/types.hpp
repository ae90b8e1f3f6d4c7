// SPDX-License-Identifier: Apache-2.0
/// \file
/// Values the control law works with. SI units; quaternions xyzw; poses are of the tcp in the base frame;
/// six-vectors are (linear, angular); every type has a fixed size, so nothing here allocates.
#ifndef SERL_IMPEDANCE_CONTROLLER__TYPES_HPP_
#define SERL_IMPEDANCE_CONTROLLER__TYPES_HPP_

#include <Eigen/Core>
#include <Eigen/Geometry>

#include <cstdint>
#include <string_view>

namespace serl_impedance_controller
{

using Vector3 = Eigen::Vector3d;
using Matrix3 = Eigen::Matrix3d;
using Vector6 = Eigen::Matrix<double, 6, 1>;
using Matrix6 = Eigen::Matrix<double, 6, 6>;

template <int N>
using JointVector = Eigen::Matrix<double, N, 1>;
template <int N>
using JointMatrix = Eigen::Matrix<double, N, N>;
template <int N>
using Jacobian = Eigen::Matrix<double, 6, N>;

/// Pose of the tcp in the base frame.
struct Pose
{
  Vector3 position = Vector3::Zero();                                  ///< [m]
  Eigen::Quaterniond orientation = Eigen::Quaterniond::Identity();     ///< unit, tcp to base
};

/// One sample of the arm and of its rigid-body model, all taken at the same instant.
template <int N>
struct Measurement
{
  JointVector<N> q = JointVector<N>::Zero();            ///< joint positions [rad]
  JointVector<N> dq = JointVector<N>::Zero();           ///< joint velocities [rad/s]
  Pose pose;                                            ///< tcp in base
  Jacobian<N> jacobian = Jacobian<N>::Zero();           ///< geometric, at the tcp, base axes, linear rows first
  JointVector<N> bias = JointVector<N>::Zero();         ///< gravity + Coriolis torques to add [Nm]; F_cor of eq. (7)
  JointMatrix<N> mass = JointMatrix<N>::Identity();     ///< joint-space inertia [kg m^2], used if has_mass
  bool has_mass = false;
  double time = 0.0;                                    ///< [s], same clock as the targets' stamps
};

/// What the operator or the policy commands.
enum class Mode : std::uint8_t
{
  kPose,    ///< Cartesian impedance around a target pose; a target wrench, if any, is F_ff of eq. (7)
  kWrench   ///< feed-forward wrench in the tool frame; a target pose brakes and holds, until a newer wrench
};

/// Axes along which stiffness, damping and reference limits are expressed.
enum class GainFrame : std::uint8_t
{
  kBase,
  kTcp
};

/// 64-bit FNV-1a of a frame name: lets a real-time thread compare frames without touching strings.
constexpr std::uint64_t frame_hash(std::string_view name)
{
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211ULL;
  }
  return hash;
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__TYPES_HPP_
