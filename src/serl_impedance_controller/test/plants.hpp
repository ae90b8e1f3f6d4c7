// SPDX-License-Identifier: Apache-2.0
/// \file
/// Simulated arms for the tests: a six-axis gantry, whose joint torques are the tcp's wrench, and a 7-joint arm.
#ifndef PLANTS_HPP_
#define PLANTS_HPP_

#include "serl_impedance_controller/controller.hpp"

// Compiled once, in plants.cpp: each takes seconds.
extern template class serl_impedance_controller::Controller<6>;
extern template class serl_impedance_controller::Controller<7>;

namespace plants
{

namespace law = serl_impedance_controller;

/// A wall that fills the half space n.p > offset: linear spring, no friction, no damping.
struct Wall
{
  law::Vector3 normal = law::Vector3::Zero();   ///< into the wall; zero: no wall
  double offset = 0.0;                          ///< [m]
  double stiffness = 1e5;                       ///< [N/m]

  law::Vector3 force(const law::Vector3 & point) const;   ///< on the arm [N]
};

/// Rigid body moved by three forces and three moments: J = I, so torque = wrench, and M is diagonal.
class Gantry
{
public:
  static constexpr int kSubsteps = 20;

  law::Measurement<6> measure(double time) const;

  /// Hold `torque` for one tick of 1 ms; the bias is what the torque has to cancel.
  void step(const law::JointVector<6> & torque);

  law::Vector3 position = law::Vector3(0.5, 0.0, 0.3);
  Eigen::Quaterniond orientation = Eigen::Quaterniond::Identity();
  law::Vector6 velocity = law::Vector6::Zero();
  law::Vector6 inertia = law::six(4.0, 0.2);
  law::JointVector<6> bias = law::JointVector<6>::Constant(3.0);
  Wall wall;
};

/// Seven revolute joints with a Panda's lengths; point masses, and inertia at the motors and the hand.
class SevenJointArm
{
public:
  static constexpr int kSubsteps = 10;
  using Vector7 = law::JointVector<7>;

  SevenJointArm();

  law::Measurement<7> measure(double time) const;

  void step(const Vector7 & torque);

  /// Kinematics, inertia and gravity at q.
  void update();

  Vector7 q;
  Vector7 dq = Vector7::Zero();
  law::Pose pose;
  law::Jacobian<7> jacobian;
  law::JointMatrix<7> mass;
  Vector7 gravity;
  Wall wall;
};

/// Gains with which both plants are well damped.
template <int N>
law::Config<N> stiff_config()
{
  law::Config<N> config;
  config.stiffness = law::six(3000.0, 250.0);
  config.damping_kind = law::DampingKind::kRatio;
  config.smoothing = 0.05;
  config.clip_pos = config.clip_neg = law::six(0.008, 0.06);
  return config;
}

}  // namespace plants

#endif  // PLANTS_HPP_
