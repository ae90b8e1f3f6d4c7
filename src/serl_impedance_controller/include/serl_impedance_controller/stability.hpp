// SPDX-License-Identifier: Apache-2.0
/// \file
/// Whether the sampled, delayed loop of law and arm is stable: for configure and activation, not for a tick (it allocates).
#ifndef SERL_IMPEDANCE_CONTROLLER__STABILITY_HPP_
#define SERL_IMPEDANCE_CONTROLLER__STABILITY_HPP_

#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/impedance_law.hpp"
#include "serl_impedance_controller/task_dynamics.hpp"
#include "serl_impedance_controller/types.hpp"

namespace serl_impedance_controller
{

constexpr double kMostDelay = 0.02;     ///< up to which a bearable delay is looked for [s],
constexpr double kMostTicks = 8.0;      ///< or so many ticks, if those are longer: the effort grows with their cube
constexpr double kUnstableBy = 1e-5;    ///< growth a tick that rounding of an undamped null space may look like

/// Torque per joint position and per joint velocity around a held pose, tau = -K q - D dq.
template <int N>
struct LinearLaw
{
  JointMatrix<N> stiffness;
  JointMatrix<N> damping;
};

/// The impedance law and its null-space term, linearised at rest at the pose of a measurement, which has a mass matrix.
template <int N>
LinearLaw<N> linearise(const Config<N> & config, const Measurement<N> & m)
{
  TaskDynamics<N> dynamics;
  dynamics.compute(m.jacobian, m.mass, m.has_mass);
  const ImpedanceResult at_rest = impedance_law(
    config, m.pose, Vector6::Zero(), m.pose, Vector6::Zero(), dynamics.has_inertia() ? &dynamics.mobility() : nullptr);
  Matrix6 axes = Matrix6::Identity();
  if (config.gain_frame == GainFrame::kTcp) {
    axes.topLeftCorner<3, 3>() = axes.bottomRightCorner<3, 3>() = m.pose.orientation.toRotationMatrix();
  }
  const Jacobian<N> along = axes.transpose() * m.jacobian;
  LinearLaw<N> law;
  law.stiffness = along.transpose() * config.stiffness.asDiagonal() * along;
  law.damping = along.transpose() * at_rest.damping.asDiagonal() * along;
  for (int i = 0; i < N; ++i) {
    const JointVector<N> unit = JointVector<N>::Unit(i);
    law.stiffness.col(i) += dynamics.project(m.jacobian, config.nullspace_stiffness[i] * unit);
    law.damping.col(i) += dynamics.project(m.jacobian, config.nullspace_damping[i] * unit);
  }
  return law;
}

/// Largest absolute eigenvalue of the loop from tick to tick: the growth a tick of what it cannot damp, above 1 where it
/// is unstable. The arm is M ddq = tau without friction, the torque is held for a tick and comes `delay` late [s].
template <int N>
double spectral_radius(const Config<N> & config, const Measurement<N> & m, double delay)
{
  const LinearLaw<N> law = linearise(config, m);
  const double h = 1.0 / config.frequency;
  const int ticks = static_cast<int>(std::floor(delay / h + 1e-9));
  const double late = std::max(0.0, delay - ticks * h);   // the part of a tick in which the older torque still acts
  const int size = (ticks + 3) * N;                       // q, dq and the torques of the last ticks
  Eigen::MatrixXd law_row = Eigen::MatrixXd::Zero(N, size);
  law_row.leftCols(N) = -law.stiffness;
  law_row.middleCols(N, N) = -law.damping;
  Eigen::MatrixXd newer = law_row, older = Eigen::MatrixXd::Zero(N, size);
  if (ticks > 0) {
    newer.setZero();
    newer.middleCols((ticks + 1) * N, N).setIdentity();
  }
  older.middleCols((ticks + 2) * N, N).setIdentity();
  const JointMatrix<N> minv = m.mass.inverse();
  const double rest = h - late;

  Eigen::MatrixXd next = Eigen::MatrixXd::Zero(size, size);
  next.block(0, 0, N, N).setIdentity();
  next.block(0, N, N, N) = h * JointMatrix<N>::Identity();
  next.block(N, N, N, N).setIdentity();
  next.topRows(N) += minv * (0.5 * rest * rest * newer + 0.5 * (h * h - rest * rest) * older);
  next.middleRows(N, N) += minv * (rest * newer + late * older);
  next.middleRows(2 * N, N) = law_row;
  for (int k = 1; k <= ticks; ++k) {
    next.block((k + 2) * N, (k + 1) * N, N, N).setIdentity();
  }
  return Eigen::EigenSolver<Eigen::MatrixXd>(next, false).eigenvalues().cwiseAbs().maxCoeff();
}

/// What a configuration is worth with an arm at a posture.
struct Stability
{
  double delay = 0.0;        ///< declared [s]
  double radius = 0.0;       ///< spectral_radius() with it
  double bearable = 0.0;     ///< longest delay with which the loop is stable, as far as was looked [s]; negative: none
  bool stable = true;
  bool close = false;        ///< stable, but not with half as much delay again and half a tick
};

/// Check gains, rate and inertia against the declared delay.
template <int N>
Stability check_stability(const Config<N> & config, const Measurement<N> & m)
{
  const auto stable_with = [&](double delay) {return spectral_radius(config, m, delay) < 1.0 + kUnstableBy;};
  Stability out;
  out.delay = config.delay;
  out.radius = spectral_radius(config, m, config.delay);
  out.stable = out.radius < 1.0 + kUnstableBy;
  const double most = std::max(kMostDelay, kMostTicks / config.frequency);
  double good = -1.0, bad = 0.5 / config.frequency;
  if (stable_with(0.0)) {
    good = 0.0;
    while (bad < most && stable_with(bad)) {
      good = bad;
      bad = std::min(most, 2.0 * bad);
    }
    while (bad - good > 1e-4) {
      const double middle = 0.5 * (good + bad);
      (stable_with(middle) ? good : bad) = middle;
    }
  }
  out.bearable = good;
  out.close = out.stable && good < 1.5 * config.delay + 0.5 / config.frequency;
  return out;
}

/// The figures in words, with the remedy; empty if there is nothing to say.
inline std::string describe(const Stability & stability, double frequency)
{
  std::ostringstream text;
  if (stability.stable && !stability.close) {
    return "";
  }
  text << "stiffness and damping " << (stability.stable ? "are close to oscillating" : "oscillate") << " at " <<
    frequency << " Hz with a delay of " << 1e3 * stability.delay << " ms and this arm's inertia (";
  if (stability.bearable < 0.0) {
    text << "they do so without any delay";
  } else {
    text << "they bear " << 1e3 * stability.bearable << " ms";
  }
  text << "; growth a tick " << stability.radius << "): lower them, or raise the control rate";
  return text.str();
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__STABILITY_HPP_
