// SPDX-License-Identifier: Apache-2.0
/// \file
/// Tcp inertia and the null-space projection.
#ifndef SERL_IMPEDANCE_CONTROLLER__TASK_DYNAMICS_HPP_
#define SERL_IMPEDANCE_CONTROLLER__TASK_DYNAMICS_HPP_

#include <Eigen/Cholesky>

#include <algorithm>

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
      factor_.compute(mass);
      positive = factor_.info() == Eigen::Success;
      if (positive) {
        factor_.solveInPlace(minv_jt_);
        has_inertia_ = true;
      }
    }
    mobility_ = jacobian.lazyProduct(minv_jt_);
    mobility_.diagonal().array() += 1e-12 * (mobility_.trace() + 1.0);
    const Eigen::LLT<Matrix6> factor(mobility_);
    lambda_.setIdentity();
    factor.solveInPlace(lambda_);
    jbar_transpose_ = lambda_.lazyProduct(minv_jt_.transpose());
    return positive;
  }

  bool has_inertia() const {return has_inertia_;}

  /// Lambda [kg, kg m, kg m^2], base axes; meaningful if has_inertia().
  const Matrix6 & lambda() const {return lambda_;}

  /// Its inverse J M^-1 J^T: acceleration of the tcp per force on it; meaningful if has_inertia().
  const Matrix6 & mobility() const {return mobility_;}

  /// Inertia that joint `i` shows while the others are free, 1 / (M^-1)_ii [kg m^2]; 0 without a mass matrix.
  double joint_inertia(int i) const
  {
    if (!has_inertia_) {
      return 0.0;
    }
    JointVector<N> column = JointVector<N>::Unit(i);
    factor_.matrixL().solveInPlace(column);
    return 1.0 / column.squaredNorm();
  }

  /// (I - J^T Jbar^T) torque.
  JointVector<N> project(const Jacobian<N> & jacobian, const JointVector<N> & torque) const
  {
    const Vector6 wrench = jbar_transpose_.lazyProduct(torque);
    return torque - jacobian.transpose().lazyProduct(wrench);
  }

private:
  Eigen::LLT<JointMatrix<N>> factor_;   // of M
  Matrix6 mobility_ = Matrix6::Identity();
  Eigen::Matrix<double, N, 6> minv_jt_ = Eigen::Matrix<double, N, 6>::Zero();
  Jacobian<N> jbar_transpose_ = Jacobian<N>::Zero();
  Matrix6 lambda_ = Matrix6::Identity();
  bool has_inertia_ = false;
};

/// Inertia that the tcp shows along a unit direction while it is free to move along the others, 1 / (n^T Lambda^-1 n)
/// [kg, kg m^2]. n^T Lambda n, with the others blocked, may be many times that, above all near a singularity: dampers
/// made for it would shake the arm.
///
/// \param mobility  Lambda^-1
/// \param block     0: translation, 3: rotation
inline double shown_inertia(const Matrix6 & mobility, int block, const Vector3 & direction)
{
  return 1.0 / std::max(1e-12, direction.dot(mobility.block<3, 3>(block, block) * direction));
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__TASK_DYNAMICS_HPP_
