// SPDX-License-Identifier: Apache-2.0
// The null-space term does not move the tcp; the wrench law is limited, in the tool frame, inside its box.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "plants.hpp"

namespace law = serl_impedance_controller;

TEST(NullSpace, ProjectedTorqueAcceleratesNoTcp)
{
  std::mt19937 rng(0);
  std::uniform_real_distribution<double> uniform(-0.5, 0.5);
  for (int trial = 0; trial < 200; ++trial) {
    plants::SevenJointArm arm;
    arm.q += law::JointVector<7>::NullaryExpr([&]() {return uniform(rng);});
    arm.update();
    law::TaskDynamics<7> dynamics;
    ASSERT_TRUE(dynamics.compute(arm.jacobian, arm.mass, true));
    const law::JointVector<7> torque = law::JointVector<7>::NullaryExpr([&]() {return 20.0 * uniform(rng);});
    const law::JointVector<7> projected = dynamics.project(arm.jacobian, torque);
    const law::Vector6 acceleration = arm.jacobian * arm.mass.llt().solve(projected);
    const law::Vector6 unprojected = arm.jacobian * arm.mass.llt().solve(torque);
    EXPECT_LT(acceleration.norm(), 1e-4 * unprojected.norm());
    EXPECT_GT(projected.norm(), 0.0);
    // Projecting twice changes nothing more.
    EXPECT_TRUE(dynamics.project(arm.jacobian, projected).isApprox(projected, 1e-4));
  }
}

TEST(NullSpace, WithoutAMassMatrixItBearsNoStaticWrench)
{
  plants::SevenJointArm arm;
  law::TaskDynamics<7> dynamics;
  ASSERT_TRUE(dynamics.compute(arm.jacobian, arm.mass, false));
  EXPECT_FALSE(dynamics.has_inertia());
  law::JointVector<7> torque;
  torque << 1.0, -2.0, 3.0, 0.5, -0.5, 1.0, 2.0;
  const law::JointVector<7> projected = dynamics.project(arm.jacobian, torque);
  // The wrench that would explain the torque best, in the least-squares sense of tau = J^T F.
  const law::Vector6 wrench = arm.jacobian.transpose().colPivHouseholderQr().solve(projected);
  EXPECT_LT(wrench.norm(), 1e-6);
}

TEST(NullSpace, LambdaIsTheInertiaTheTcpShows)
{
  plants::SevenJointArm arm;
  law::TaskDynamics<7> dynamics;
  ASSERT_TRUE(dynamics.compute(arm.jacobian, arm.mass, true));
  const law::Matrix6 inverse = arm.jacobian * arm.mass.inverse() * arm.jacobian.transpose();
  EXPECT_TRUE((dynamics.lambda() * inverse).isApprox(law::Matrix6::Identity(), 1e-4));
}

TEST(NullSpace, SingularPostureGivesFiniteNumbers)
{
  law::TaskDynamics<7> dynamics;
  law::Jacobian<7> jacobian = law::Jacobian<7>::Zero();
  jacobian.row(0).setOnes();
  ASSERT_TRUE(dynamics.compute(jacobian, law::JointMatrix<7>::Identity(), true));
  EXPECT_TRUE(dynamics.project(jacobian, law::JointVector<7>::Ones()).allFinite());
}

TEST(NullSpace, TheElbowMovesAndTheTcpDoesNot)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  auto config = plants::stiff_config<7>();
  config.damping_ratio.setConstant(1.6);   // about what 1 gave when it was for the inertia with the other axes blocked
  config.nullspace_stiffness.setConstant(20.0);
  config.nullspace_damping.setConstant(4.0);
  ASSERT_FALSE(controller.configure(config));
  const law::Pose start = arm.pose;
  const law::JointVector<7> q0 = arm.q;
  law::JointVector<7> posture = arm.q;
  posture[0] += 0.3;
  posture[2] -= 0.4;
  ASSERT_TRUE(controller.set_nullspace_posture(posture));
  double most = 0.0;
  for (int tick = 0; tick < 3000; ++tick) {
    arm.step(controller.update(arm.measure(1e-3 * tick)));
    most = std::max(most, (arm.pose.position - start.position).norm());
  }
  EXPECT_GT((arm.q - q0).norm(), 0.2);
  EXPECT_LT(most, 5e-4);
  EXPECT_LT((arm.pose.position - start.position).norm(), 1e-4);
}

TEST(WrenchLaw, IsLimitedPerAxisInTheToolFrame)
{
  law::Config<7> config;
  config.wrench_limit << 20.0, 10.0, 5.0, 3.0, 2.0, 1.0;
  law::Pose pose;
  pose.orientation = Eigen::AngleAxisd(M_PI, law::Vector3::UnitX());
  law::Vector6 target, expected;
  target << 100.0, 4.0, -100.0, 0.5, -9.0, 9.0;
  expected << 20.0, -4.0, 5.0, 0.5, 2.0, -1.0;  // y and z turn over with the tool pointing down
  EXPECT_TRUE(law::wrench_law(config, pose, law::Vector6::Zero(), target).isApprox(expected, 1e-12));
}

TEST(WrenchLaw, DampsInTheToolFrame)
{
  law::Config<7> config;
  config.wrench_damping << 0.0, 0.0, 50.0, 0.0, 0.0, 0.0;
  law::Pose pose;
  pose.orientation = Eigen::AngleAxisd(M_PI_2, law::Vector3::UnitY());  // tool z along base x
  law::Vector6 twist = law::Vector6::Zero();
  twist[0] = 0.2;
  twist[1] = 5.0;
  const law::Vector6 wrench = law::wrench_law(config, pose, twist, law::Vector6::Zero());
  EXPECT_NEAR(wrench[0], -10.0, 1e-9);
  EXPECT_NEAR(wrench[1], 0.0, 1e-9);
}

TEST(WrenchLaw, APushFadesOutAlongTheMotionBelowTheSpeedLimit)
{
  law::Config<7> config;
  config.wrench_linear_speed = 1.0;
  config.wrench_angular_speed = 2.0;
  law::Pose pose;
  pose.orientation = Eigen::AngleAxisd(M_PI_2, law::Vector3::UnitZ());  // tool x along base y, tool y along base -x
  law::Vector6 target, twist, expected;
  target << 10.0, 5.0, 0.0, 2.0, 0.0, 1.0;    // in base: (-5, 10, 0), (0, 2, 1)
  twist << 0.57, 0.76, 0.0, 0.0, 1.8, 0.0;    // 0.95 m/s along (0.6, 0.8, 0); 1.8 rad/s: the band begins
  // Along the motion -5 * 0.6 + 10 * 0.8 = 5 N, of which half is left at 0.95: 2.5 N * (0.6, 0.8) less.
  expected << -6.5, 8.0, 0.0, 0.0, 2.0, 1.0;
  EXPECT_TRUE(law::wrench_law(config, pose, twist, target).isApprox(expected, 1e-12));
  twist << 0.6, 0.8, 0.0, 0.0, 3.0, 0.0;      // at the limit and beyond, nothing is left along the motion
  expected << -8.0, 6.0, 0.0, 0.0, 0.0, 1.0;
  EXPECT_TRUE(law::wrench_law(config, pose, twist, target).isApprox(expected, 1e-12));
  expected << -5.0, 10.0, 0.0, 0.0, 2.0, 1.0;
  twist << 0.9, -1.2, 0.0, 0.0, -5.0, 0.0;    // a push that brakes is whole at any speed
  EXPECT_TRUE(law::wrench_law(config, pose, twist, target).isApprox(expected, 1e-12));
  twist << 0.54, 0.71, 0.0, 0.0, 1.7, 0.0;    // and any push below the band
  EXPECT_TRUE(law::wrench_law(config, pose, twist, target).isApprox(expected, 1e-12));
}

TEST(WrenchMode, APushInFreeSpaceReachesTheSpeedLimitAndNotTheFault)
{
  for (const double limit : {0.5, 2.0, 8.0}) {
    const bool turns = limit > 5.0;  // [rad/s]
    plants::Gantry arm;
    law::Controller<6> controller;
    law::Config<6> config = plants::stiff_config<6>();
    (turns ? config.wrench_angular_speed : config.wrench_linear_speed) = limit;
    ASSERT_FALSE(controller.configure(config));
    controller.set_mode(law::Mode::kWrench);
    law::Vector6 push = law::Vector6::Zero();
    push[turns ? 4 : 0] = 20.0;  // a torque is limited to 5 Nm
    double fastest = 0.0;
    for (int tick = 0; tick < 3000; ++tick) {
      controller.set_target_wrench(push, 1e-3 * tick);
      arm.step(controller.update(arm.measure(1e-3 * tick)));
      fastest = std::max(fastest, arm.velocity.norm());
    }
    EXPECT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);
    EXPECT_GT(fastest, 0.9 * limit);
    EXPECT_LT(fastest, 1.1 * limit);  // the torque takes some ticks to go
  }
}

TEST(WrenchMode, WhatIsDrivenBeyondTheSpeedLimitIsBrakedAndHeld)
{
  plants::Gantry arm;
  law::Controller<6> controller;
  const law::Config<6> config = plants::stiff_config<6>();
  ASSERT_FALSE(controller.configure(config));
  controller.set_mode(law::Mode::kWrench);
  double time = 0.0;
  const auto run = [&](int ticks) {
      for (int tick = 0; tick < ticks; ++tick, time += 1e-3) {
        controller.set_target_wrench(law::Vector6::Zero(), time);
        arm.step(controller.update(arm.measure(time)));
      }
    };
  run(10);
  arm.velocity[1] = 1.2 * config.wrench_linear_speed;  // somebody pushes
  run(10);
  EXPECT_FALSE(controller.fault());
  arm.velocity[1] = 1.3 * config.wrench_linear_speed;
  run(10);
  EXPECT_EQ(controller.fault().code, law::FaultCode::kTooFast);
  EXPECT_STREQ(controller.fault().input, "linear speed");
  EXPECT_NEAR(controller.fault().value, 2.6, 1e-3);
  EXPECT_TRUE(controller.state().holding);
  run(4000);
  EXPECT_LT(arm.velocity.norm(), 1e-3);
  EXPECT_LT((arm.position - controller.state().commanded.position).norm(), 1e-3);
}

TEST(WrenchLaw, OutsideTheBoxNothingPushesFurtherOut)
{
  law::Config<7> config;
  config.workspace_low << 0.3, -0.2, 0.1;
  config.workspace_high << 0.6, 0.2, 0.5;
  law::Pose pose;
  law::Vector6 push = law::six(10.0, 0.0);
  pose.position << 0.4, 0.0, 0.3;
  EXPECT_TRUE(law::wrench_law(config, pose, law::Vector6::Zero(), push).isApprox(push));
  pose.position << 0.61, -0.21, 0.3;
  const law::Vector6 wrench = law::wrench_law(config, pose, law::Vector6::Zero(), push);
  EXPECT_NEAR(wrench[0], -1000.0 * 0.01, 1e-9);         // outward push gone, spring pulls back
  EXPECT_NEAR(wrench[1], 10.0 + 1000.0 * 0.01, 1e-9);   // inward push kept
  EXPECT_NEAR(wrench[2], 10.0, 1e-9);
}

TEST(WrenchMode, AppliesTheWrenchAtTheTcpAndStaysInTheBox)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  law::Config<7> config = plants::stiff_config<7>();
  config.workspace_low = arm.pose.position - law::Vector3::Constant(0.03);
  config.workspace_high = arm.pose.position + law::Vector3::Constant(0.03);
  config.wrench_damping = law::six(60.0, 6.0);
  config.nullspace_damping.setZero();
  config.nullspace_stiffness.setZero();
  ASSERT_FALSE(controller.configure(config));
  controller.set_mode(law::Mode::kWrench);
  law::Vector6 push = law::Vector6::Zero();
  push[1] = 500.0;  // limited to 20 N
  double farthest = 0.0;
  for (int tick = 0; tick < 4000; ++tick) {
    controller.set_target_wrench(push, 1e-3 * tick);
    const law::Measurement<7> m = arm.measure(1e-3 * tick);
    arm.step(controller.update(m));
    const law::Vector3 depth = law::outside_workspace(config, arm.pose.position);
    farthest = std::max(farthest, depth.cwiseAbs().maxCoeff());
    if (tick == 100) {
      const law::Vector6 tool =
        law::rotate(m.pose.orientation.toRotationMatrix().transpose(), controller.state().wrench);
      EXPECT_NEAR(tool[1], 20.0, 60.0 * m.dq.norm());
      const law::Vector6 sent = m.jacobian.transpose().colPivHouseholderQr().solve(
        controller.state().torque - m.bias);
      EXPECT_TRUE(sent.isApprox(controller.state().wrench, 1e-2));
    }
  }
  EXPECT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);
  EXPECT_GT(farthest, 1e-4);  // it did reach the border
  EXPECT_LT(farthest, config.workspace_margin);
}

TEST(WrenchLaw, CentringPullsAlongTheAxesOfWhereTheModeBegan)
{
  law::Config<7> config;
  config.wrench_stiffness << 100.0, 0.0, 0.0, 0.0, 0.0, 2.0;
  law::Pose centre, measured;
  centre.orientation = Eigen::AngleAxisd(M_PI_2, law::Vector3::UnitZ());  // its x along base y
  measured = centre;
  EXPECT_TRUE(law::centring_wrench(config, measured, centre).isZero());
  measured.position << 0.3, 0.05, 0.2;
  measured.orientation = Eigen::AngleAxisd(M_PI_2 + 0.4, law::Vector3::UnitZ());
  law::Vector6 expected = law::Vector6::Zero();
  expected[1] = -100.0 * 0.05;
  expected[5] = -2.0 * 0.4;
  EXPECT_TRUE(law::centring_wrench(config, measured, centre).isApprox(expected, 1e-9));
  measured.position.y() = 1.0;
  EXPECT_NEAR(law::centring_wrench(config, measured, centre)[1], -config.wrench_limit[0], 1e-9);
}

TEST(WrenchMode, ComesBackToWhereItBeganOnlyIfAskedTo)
{
  for (const double stiffness : {0.0, 80.0}) {
    plants::SevenJointArm arm;
    const law::Vector3 start = arm.pose.position;
    law::Controller<7> controller;
    law::Config<7> config = plants::stiff_config<7>();
    config.wrench_damping = law::six(40.0, 4.0);
    config.wrench_stiffness = law::six(stiffness, 0.2 * stiffness);
    config.nullspace_stiffness.setZero();
    ASSERT_FALSE(controller.configure(config));
    controller.set_mode(law::Mode::kWrench);
    double farthest = 0.0;
    for (int tick = 0; tick < 4000; ++tick) {
      law::Vector6 push = law::Vector6::Zero();
      push[1] = tick < 400 ? 5.0 : 0.0;
      controller.set_target_wrench(push, 1e-3 * tick);
      arm.step(controller.update(arm.measure(1e-3 * tick)));
      farthest = std::max(farthest, (arm.pose.position - start).norm());
    }
    ASSERT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);
    const double left = (arm.pose.position - start).norm();
    EXPECT_GT(farthest, 0.01);
    if (stiffness > 0.0) {
      EXPECT_LT(left, 0.1 * farthest);
    } else {
      EXPECT_GT(left, 0.9 * farthest);
    }
  }
}

TEST(WrenchMode, APoseBrakesAndHoldsTheArmUntilANewerWrench)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  law::Config<7> config = plants::stiff_config<7>();
  config.nullspace_stiffness.setZero();
  ASSERT_FALSE(controller.configure(config));
  controller.set_mode(law::Mode::kWrench);
  law::Vector6 push = law::Vector6::Zero();
  push[1] = 10.0;
  double time = 0.0;
  const auto run = [&](int ticks) {
      for (int tick = 0; tick < ticks; ++tick) {
        time += 1e-3;
        arm.step(controller.update(arm.measure(time)));
      }
      const law::Measurement<7> m = arm.measure(time);
      return (m.jacobian * m.dq).head<3>().norm();
    };
  controller.set_target_wrench(push, time);
  const double thrown = run(150);
  EXPECT_GT(thrown, 0.1);

  const law::Pose held = arm.pose;
  const double stop = time;
  controller.set_target_pose(held, stop);
  controller.set_target_wrench(push, stop);  // sent before the stop, and heard after it
  double speed = thrown;
  for (int beat = 0; beat < 20; ++beat) {
    controller.set_target_pose(held, time);
    controller.set_target_wrench(push, stop);
    speed = run(100);
    EXPECT_FALSE(controller.state().holding);
  }
  EXPECT_LT(speed, 1e-2);
  EXPECT_LT((arm.pose.position - held.position).norm(), 0.01);
  EXPECT_TRUE(controller.target_wrench().isZero());

  controller.set_target_wrench(push, time);
  controller.set_target_pose(held, stop);    // the same the other way round: a hold of before the wrench
  EXPECT_GT(run(150), 0.1);
  EXPECT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);

  controller.set_target_pose(arm.pose, time);
  run(1000);
  EXPECT_EQ(controller.fault().code, law::FaultCode::kStaleTarget);  // a hold has a watchdog, too
}

TEST(PoseMode, FeedForwardWrenchIsAddedAndTargetsStayInTheBox)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  law::Config<7> config = plants::stiff_config<7>();
  config.workspace_high.z() = arm.pose.position.z() + 0.01;
  ASSERT_FALSE(controller.configure(config));
  controller.update(arm.measure(0.0));
  law::Vector6 wrench = law::Vector6::Zero();
  wrench[2] = 7.0;
  controller.set_target_wrench(wrench, 0.0);
  controller.update(arm.measure(0.001));
  const law::Vector3 expected = 7.0 * arm.pose.orientation.toRotationMatrix().col(2);
  EXPECT_TRUE(controller.state().wrench.head<3>().isApprox(expected, 1e-9));

  law::Pose target = arm.pose;
  target.position.z() += 0.3;
  controller.set_target_pose(target, 0.001);
  controller.update(arm.measure(0.002));
  EXPECT_NEAR(controller.state().commanded.position.z(), config.workspace_high.z(), 1e-12);
}
