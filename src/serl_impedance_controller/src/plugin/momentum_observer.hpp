// SPDX-License-Identifier: Apache-2.0
/// \file
/// External joint torques without a sensor: the generalised momentum observer of De Luca and Mattone. No ROS.
#ifndef PLUGIN__MOMENTUM_OBSERVER_HPP_
#define PLUGIN__MOMENTUM_OBSERVER_HPP_

#include <Eigen/Cholesky>

#include "arm_sample.hpp"

namespace serl_impedance_controller
{

/// With p = M dq, dp/dt = tau + C^T dq - g + tau_ext. The residual
///
///   r = K (p(t) - p(0) - int (tau + C^T dq - g + r) dt)
///
/// follows tau_ext like a first-order filter of bandwidth K, without accelerations. Friction that the arm does not
/// compensate counts as external. Nothing here allocates after construction.
class MomentumObserver
{
public:
  MomentumObserver(Eigen::Index joints, double gain)
  : gain_(gain), momentum_(Eigen::VectorXd::Zero(joints)), integral_(Eigen::VectorXd::Zero(joints)),
    residual_(Eigen::VectorXd::Zero(joints))
  {
  }

  /// Begin with no external torque at the next step.
  void reset()
  {
    started_ = false;
    residual_.setZero();
  }

  /// \param sample   the arm now
  /// \param torque   joint torques, gravity compensation included, since the last step [Nm]
  /// \param period   time since the last step [s]
  void step(const ArmSample & sample, const Eigen::VectorXd & torque, double period)
  {
    momentum_.noalias() = sample.mass * sample.dq;
    if (!started_) {
      integral_ = momentum_;  // p(0) is kept in the integral
      started_ = true;
    } else {
      integral_ += period * (torque + sample.coriolis_transposed - sample.gravity);
    }
    // The equation with this step's own r under the integral: stable at any gain and rate.
    residual_ = gain_ / (1.0 + gain_ * period) * (momentum_ - integral_);
    integral_ += period * residual_;
    if (!residual_.allFinite()) {
      reset();
    }
  }

  /// External joint torques [Nm].
  const Eigen::VectorXd & torque() const {return residual_;}

  /// The wrench at the tcp that explains them best (pseudo-inverse of J^T), base axes [N, Nm].
  Vector6 wrench(const ArmSample & sample) const
  {
    Matrix6 square = sample.jacobian.lazyProduct(sample.jacobian.transpose());
    square.diagonal().array() += 1e-9 * (square.trace() + 1.0);  // a singular posture gives large numbers, not NaN
    Vector6 wrench = sample.jacobian.lazyProduct(residual_);
    Eigen::LLT<Matrix6>(square).solveInPlace(wrench);
    return wrench;
  }

private:
  double gain_;
  bool started_ = false;
  Eigen::VectorXd momentum_;
  Eigen::VectorXd integral_;
  Eigen::VectorXd residual_;
};

}  // namespace serl_impedance_controller

#endif  // PLUGIN__MOMENTUM_OBSERVER_HPP_
