// SPDX-License-Identifier: Apache-2.0
/// \file
/// One sample of an arm whose number of joints is known at run time only.
#ifndef PLUGIN__ARM_SAMPLE_HPP_
#define PLUGIN__ARM_SAMPLE_HPP_

#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// Joint state and what the arm's model says of it. Joints in the controller's order; sized once, at construction.
struct ArmSample
{
  explicit ArmSample(Eigen::Index joints)
  : q(Eigen::VectorXd::Zero(joints)), dq(Eigen::VectorXd::Zero(joints)),
    jacobian(Eigen::Matrix<double, 6, Eigen::Dynamic>::Zero(6, joints)),
    mass(Eigen::MatrixXd::Identity(joints, joints)), gravity(Eigen::VectorXd::Zero(joints)),
    coriolis(Eigen::VectorXd::Zero(joints)), coriolis_transposed(Eigen::VectorXd::Zero(joints))
  {
  }

  Eigen::VectorXd q;                  ///< [rad] or [m]
  Eigen::VectorXd dq;                 ///< [rad/s] or [m/s]
  Pose pose;                          ///< tcp in the base frame
  Eigen::Matrix<double, 6, Eigen::Dynamic> jacobian;  ///< geometric, at the tcp, base axes, linear rows first
  Eigen::MatrixXd mass;               ///< joint-space inertia [kg m^2]
  Eigen::VectorXd gravity;            ///< torques that balance gravity [Nm]
  Eigen::VectorXd coriolis;           ///< C(q, dq) dq [Nm]
  Eigen::VectorXd coriolis_transposed;  ///< C(q, dq)^T dq [Nm], for the momentum observer
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__ARM_SAMPLE_HPP_
