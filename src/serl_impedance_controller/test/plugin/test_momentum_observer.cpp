// SPDX-License-Identifier: Apache-2.0
// The observer finds a force on a moving arm from torques alone, and nothing where there is none.
#include <gtest/gtest.h>

#include <Eigen/Cholesky>

#include "momentum_observer.hpp"
#include "robot_model.hpp"
#include "test_arm.hpp"

namespace law = serl_impedance_controller;
using law::test::kJoints;

namespace
{

/// A second of the arm swinging under torques that follow nothing, with a wrench at the tcp in the second half.
struct Swing
{
  law::Vector6 before, after;   // the observer's wrench when the wrench begins, and at the end

  explicit Swing(const law::Vector6 & wrench, double gain, double period = 2.5e-4)
  {
    law::RobotModel model(law::test::urdf(), law::test::arm());
    law::ArmSample sample(kJoints);
    law::MomentumObserver observer(kJoints, gain);
    sample.q = law::test::bent_posture();
    sample.dq.setConstant(0.3);
    Eigen::VectorXd torque = Eigen::VectorXd::Zero(kJoints);
    const int ticks = static_cast<int>(1.0 / period);
    for (int tick = 0; tick < ticks; ++tick) {
      model.update(sample);
      observer.step(sample, torque, period);
      if (tick == ticks / 2) {
        before = observer.wrench(sample);
      }
      torque = sample.gravity - 0.5 * sample.dq + 0.3 * Eigen::VectorXd::LinSpaced(kJoints, -1.0, 1.0);
      Eigen::VectorXd all = torque - sample.coriolis - sample.gravity;
      if (tick >= ticks / 2) {
        all += sample.jacobian.transpose() * wrench;
      }
      sample.dq += period * sample.mass.ldlt().solve(all);
      sample.q += period * sample.dq;
    }
    after = observer.wrench(sample);
  }
};

}  // namespace

TEST(MomentumObserver, FindsTheForceAndOnlyAfterItIsThere)
{
  law::Vector6 wrench;
  wrench << 3.0, -2.0, 4.0, 0.2, -0.1, 0.15;
  const Swing swing(wrench, 50.0);
  EXPECT_LT(swing.before.norm(), 0.05);
  EXPECT_LT((swing.after - wrench).norm(), 0.05 * wrench.norm());
}

TEST(MomentumObserver, NoGainIsUnstable)
{
  EXPECT_LT(Swing(law::Vector6::Zero(), 200.0, 0.01).after.norm(), 2.0);
}

TEST(MomentumObserver, BadTorquesDoNotStay)
{
  law::RobotModel model(law::test::urdf(), law::test::arm());
  law::ArmSample sample(kJoints);
  sample.q = law::test::bent_posture();
  model.update(sample);
  law::MomentumObserver observer(kJoints, 50.0);
  observer.step(sample, sample.gravity, 1e-3);
  observer.step(sample, Eigen::VectorXd::Constant(kJoints, NAN), 1e-3);
  for (int i = 0; i < 10; ++i) {
    observer.step(sample, sample.gravity, 1e-3);
  }
  EXPECT_LT(observer.wrench(sample).norm(), 1e-9);
}
