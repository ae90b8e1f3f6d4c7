// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tcp inertia and the null-space projection.
#ifndef SERL_IMPEDANCE_CONTROLLER__TASK_DYNAMICS_HPP_
#define SERL_IMPEDANCE_CONTROLLER__TASK_DYNAMICS_HPP_

#include <Eigen/Cholesky>

#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

/// With a mass matrix M: Lambda = (J M^-1 J^T)^-1 and the dynamically consistent inverse Jbar^T = Lambda J M^-1
/// (Khatib), so that J M^-1 (I - J^T Jbar^T) = 0: null-space torques accelerate no tcp. Without M, M = I takes
/// its place: the pseudo-inverse of J^T, which keeps null-space torques out of the tcp's static wrench.
/// 1e-12 of the trace is added to J M^-1 J^T, so that a singular posture gives large numbers and not NaN.
template <int N>
class TaskDynamics
{
public:
  /// False if M is not positive definite; the pseudo-inverse is then used.
  bool compute(const Jacobian<N> & jacobian, const JointMatrix<N> & mass, bool has_mass)
  {
    bool positive = true;
    has_inertia_ = false;
    minv_jt_ = jacobian.transpose();
    if (has_mass) {
      const Eigen::LLT<JointMatrix<N>> factor(mass);
      positive = factor.info() == Eigen::Success;
      if (positive) {
        factor.solveInPlace(minv_jt_);
        has_inertia_ = true;
      }
    }
    Matrix6 inverse = jacobian.lazyProduct(minv_jt_);
    inverse.diagonal().array() += 1e-12 * (inverse.trace() + 1.0);
    const Eigen::LLT<Matrix6> factor(inverse);
    lambda_.setIdentity();
    factor.solveInPlace(lambda_);
    jbar_transpose_ = lambda_.lazyProduct(minv_jt_.transpose());
    return positive;
  }

  bool has_inertia() const {return has_inertia_;}

  /// Lambda [kg, kg m, kg m^2], base axes; meaningful if has_inertia().
  const Matrix6 & lambda() const {return lambda_;}

  /// (I - J^T Jbar^T) torque.
  JointVector<N> project(const Jacobian<N> & jacobian, const JointVector<N> & torque) const
  {
    const Vector6 wrench = jbar_transpose_.lazyProduct(torque);
    return torque - jacobian.transpose().lazyProduct(wrench);
  }

private:
  Eigen::Matrix<double, N, 6> minv_jt_ = Eigen::Matrix<double, N, 6>::Zero();
  Jacobian<N> jbar_transpose_ = Jacobian<N>::Zero();
  Matrix6 lambda_ = Matrix6::Identity();
  bool has_inertia_ = false;
};

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__TASK_DYNAMICS_HPP_
