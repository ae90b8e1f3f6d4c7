// SPDX-License-Identifier: Apache-2.0
// Guards of every mode: speed of the reference, joints' limits and speed, posture, torque limits, inputs nobody can mean.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "plants.hpp"
#include "serl_impedance_controller/describe.hpp"

namespace law = serl_impedance_controller;
using Vector7 = law::JointVector<7>;

namespace
{

/// Quiet: nothing pushes but what a test asks for.
law::Config<7> still_config()
{
  law::Config<7> config = plants::stiff_config<7>();
  config.nullspace_stiffness.setZero();
  config.nullspace_damping.setConstant(1.0);
  return config;
}

}  // namespace

TEST(SpeedOfTheReference, ATargetFarAwayIsReachedAtTheLimitAndNoFaster)
{
  for (const double smoothing : {0.005, 1.0}) {
    for (const auto kind : {law::DampingKind::kFixed, law::DampingKind::kRatio}) {
      for (const auto damped : {law::DampedVelocity::kMeasured, law::DampedVelocity::kRelative}) {
        plants::SevenJointArm arm;
        law::Controller<7> controller;
        law::Config<7> config = still_config();
        config.stiffness = law::six(2000.0, 150.0);
        config.clip_pos = config.clip_neg = law::six(0.4, 1.0);   // nothing but the speed limit holds the spring back
        config.smoothing = smoothing;
        config.damping_kind = kind;
        config.damped_velocity = damped;
        ASSERT_FALSE(controller.configure(config));
        law::Pose target = arm.pose;
        target.position.y() += 0.35;
        target.orientation = law::quaternion_of(law::Vector3(0.0, 0.0, 0.8)) * target.orientation;
        double fastest = 0.0, turning = 0.0;
        for (int tick = 0; tick < 3000; ++tick) {
          controller.set_target_pose(target, 1e-3 * tick);
          arm.step(controller.update(arm.measure(1e-3 * tick)));
          const law::Vector6 twist = arm.jacobian * arm.dq;
          fastest = std::max(fastest, twist.head<3>().norm());
          turning = std::max(turning, twist.tail<3>().norm());
        }
        EXPECT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);
        EXPECT_LT(fastest, 1.1 * config.pose_linear_speed);
        EXPECT_LT(turning, 1.1 * config.pose_angular_speed);
        EXPECT_LT((arm.pose.position - target.position).norm(), 2e-3);
      }
    }
  }
}

TEST(JointGuard, ATargetBeyondAJointsLimitStopsBeforeIt)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  law::Config<7> config = still_config();
  config.joint_low.setConstant(-3.0);
  config.joint_high.setConstant(3.0);
  config.joint_high[3] = arm.q[3] + 0.4;
  ASSERT_FALSE(controller.configure(config));
  law::Pose target = arm.pose;
  target.position += 0.4 * (target.position - law::Vector3(0.0, 0.0, 0.333)).normalized();   // stretches the elbow
  double least = 1e9;
  for (int tick = 0; tick < 4000; ++tick) {
    controller.set_target_pose(target, 1e-3 * tick);
    arm.step(controller.update(arm.measure(1e-3 * tick)));
    least = std::min(least, config.joint_high[3] - arm.q[3]);
  }
  EXPECT_LT(least, 0.35);   // it did go there
  EXPECT_GT(least, 0.1);
  EXPECT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);
}

TEST(JointGuard, NothingPushesAJointBeyondItsSpeedAndAQuarterMoreIsAFault)
{
  plants::SevenJointArm arm;
  law::Config<7> config = still_config();
  config.joint_speed.setConstant(1.0);
  law::TaskDynamics<7> dynamics;
  dynamics.compute(arm.jacobian, arm.mass, true);
  law::Measurement<7> m = arm.measure(0.0);
  const Vector7 push = Vector7::Constant(2.0);
  m.dq[0] = 0.85;
  EXPECT_TRUE(law::guard_joints(config, m, dynamics, push).isApprox(push));
  m.dq[0] = 0.95;
  EXPECT_NEAR(law::guard_joints(config, m, dynamics, push)[0], 1.0, 1e-9);
  m.dq[0] = -0.95;   // it brakes: whole
  EXPECT_NEAR(law::guard_joints(config, m, dynamics, push)[0], 2.0, 1e-9);
  m.dq[0] = 1.1;
  EXPECT_LT(law::guard_joints(config, m, dynamics, push)[0], 0.0);

  law::Controller<7> controller;
  ASSERT_FALSE(controller.configure(config));
  m.dq[0] = 1.2;
  controller.update(m);
  EXPECT_FALSE(controller.fault());
  m.dq[0] = 1.3;
  controller.update(m);
  EXPECT_EQ(controller.fault().code, law::FaultCode::kTooFast);
  EXPECT_STREQ(controller.fault().input, "joint speed");
}

TEST(Posture, AJointThatWrapsDoesNotJump)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  law::Config<7> config = still_config();
  config.nullspace_stiffness.setConstant(20.0);
  config.joint_low.setConstant(-7.0);
  config.joint_high.setConstant(7.0);
  config.joint_low[0] = -law::kUnlimited;
  config.joint_high[0] = law::kUnlimited;
  config.torque_rate.setConstant(1000.0);
  ASSERT_FALSE(controller.configure(config));
  Vector7 posture = arm.q;
  posture[0] += 0.2;
  controller.set_nullspace_posture(posture);
  law::Measurement<7> m = arm.measure(0.0);
  const Vector7 before = controller.update(m);
  m.q[0] -= 2.0 * M_PI;
  EXPECT_TRUE(controller.update(m).isApprox(before, 1e-9));
  m.q[0] += 2.0 * M_PI;
  m.q[2] -= 2.0 * M_PI;   // a joint with limits is where it says
  EXPECT_GT((controller.update(m) - before).norm(), 1.0);
}

TEST(Posture, ModesAndFaultsKeepItAndActivationTakesItAnew)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  law::Config<7> config = still_config();
  config.nullspace_stiffness.setConstant(20.0);
  config.nullspace_damping.setZero();
  config.torque_rate.setConstant(1000.0);
  ASSERT_FALSE(controller.configure(config));
  controller.update(arm.measure(0.0));
  arm.q[2] += 0.3;
  arm.q[0] -= 0.2;
  arm.update();
  const auto pull = [&](double time) {
      return Vector7(controller.update(arm.measure(time)) - arm.gravity).norm();
    };
  controller.set_mode(law::Mode::kWrench);
  EXPECT_GT(pull(0.001), 0.1);
  controller.set_mode(law::Mode::kPose);
  EXPECT_GT(pull(0.002), 0.1);
  controller.set_target_pose(arm.pose, 0.002, law::frame_hash("elsewhere"));
  controller.reset_fault();
  EXPECT_GT(pull(0.003), 0.1);
  controller.activate();
  EXPECT_LT(pull(0.004), 1e-6);
}

TEST(TorqueLimit, ASaturatedWristCostsMomentAndNotForce)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  law::Config<7> config = still_config();
  config.torque_rate.setConstant(1000.0);
  config.wrench_limit = law::six(20.0, 50.0);
  ASSERT_FALSE(controller.configure(config));
  controller.set_mode(law::Mode::kWrench);
  controller.update(arm.measure(0.0));
  law::Vector6 push = law::Vector6::Zero();
  push[0] = 10.0;
  push[5] = 40.0;   // joint 7 has 12 Nm
  controller.set_target_wrench(push, 0.0);
  const Vector7 torque = controller.update(arm.measure(0.001));
  EXPECT_LE(std::abs(torque[6]), config.torque_limit[6] + 1e-9);
  const law::Vector6 given = law::rotate(
    arm.pose.orientation.toRotationMatrix().transpose(),
    arm.jacobian.transpose().colPivHouseholderQr().solve(torque - arm.gravity));
  EXPECT_NEAR(given[0], 10.0, 1e-6);
  EXPECT_LT(given[5], 40.0);
  EXPECT_GT(given[5], 5.0);
}

TEST(TorqueLimit, LoweringItLiveIsNoStep)
{
  law::TorqueLimiter<7> limiter;
  const Vector7 rate = Vector7::Constant(1.0), bias = Vector7::Constant(2.0);
  Vector7 last;
  for (int tick = 0; tick < 100; ++tick) {
    last = limiter.step(Vector7::Constant(40.0), bias, rate, Vector7::Constant(87.0));
  }
  EXPECT_NEAR(last[0], 42.0, 1e-9);
  for (int tick = 0; tick < 50; ++tick) {
    const Vector7 torque = limiter.step(Vector7::Constant(40.0), bias, rate, Vector7::Constant(10.0));
    EXPECT_LE((torque - last).cwiseAbs().maxCoeff(), 1.0 + 1e-9) << tick;
    last = torque;
  }
  for (int tick = 0; tick < 100; ++tick) {
    last = limiter.step(Vector7::Constant(40.0), bias, rate, Vector7::Constant(10.0));
  }
  EXPECT_NEAR(last[0], 10.0, 1e-9);
}

TEST(Inputs, FiniteNonsenseIsAFault)
{
  const auto code_of = [](auto spoil) {
      plants::SevenJointArm arm;
      law::Controller<7> controller;
      controller.update(arm.measure(0.0));
      law::Measurement<7> m = arm.measure(0.001);
      spoil(m);
      EXPECT_TRUE(controller.update(m).allFinite());
      EXPECT_LT((controller.state().torque - arm.gravity).cwiseAbs().maxCoeff(), 1.0 + 1e-9);
      return controller.fault();
    };
  const law::Fault fault = code_of([](auto & m) {m.dq[2] = 1e6;});
  EXPECT_EQ(fault.code, law::FaultCode::kImplausible);
  EXPECT_STREQ(fault.input, "joint velocities");
  EXPECT_EQ(fault.value, 1e6);
  EXPECT_EQ(code_of([](auto & m) {m.pose.position[0] = 1e4;}).code, law::FaultCode::kImplausible);
  EXPECT_EQ(code_of([](auto & m) {m.jacobian(2, 2) = 1e5;}).code, law::FaultCode::kImplausible);
  EXPECT_EQ(code_of([](auto & m) {m.bias[1] = 1e7;}).code, law::FaultCode::kImplausible);
  EXPECT_EQ(code_of([](auto & m) {m.mass(1, 1) = 1e9;}).code, law::FaultCode::kImplausible);
}

TEST(Inputs, AStampOfZeroIsNamedAsOne)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  controller.update(arm.measure(1000.0));
  controller.set_target_pose(arm.pose, 0.0);
  controller.update(arm.measure(1000.001));
  EXPECT_EQ(controller.fault().code, law::FaultCode::kNoStamp);
  std::string text;
  law::describe(controller.fault(), text);
  EXPECT_NE(text.find("stamp is zero"), std::string::npos) << text;
}

TEST(Config, WhatIsNoNumberIsCalledThat)
{
  law::Config<7> config;
  config.clip_pos[0] = -std::numeric_limits<double>::quiet_NaN();
  const auto error = law::validate(config);
  ASSERT_TRUE(error.has_value());
  const std::string text = law::describe(*error);
  EXPECT_EQ(text.find("nan"), std::string::npos) << text;
  EXPECT_EQ(text, "clip_pos[0] is not a number; it must be within [1e-06, 0.5]");
}
