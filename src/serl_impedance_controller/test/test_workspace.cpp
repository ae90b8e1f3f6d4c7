// SPDX-License-Identifier: Apache-2.0
// Box and turn: what pushes out is dropped, the arm is braked before the border and pulled back, faults come far out.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "plants.hpp"

namespace law = serl_impedance_controller;

namespace
{

const Eigen::Quaterniond kDown(Eigen::AngleAxisd(M_PI, law::Vector3::UnitX()));

law::Config<6> boxed(const plants::Gantry & arm)
{
  law::Config<6> config = plants::stiff_config<6>();
  config.workspace_low = arm.position - law::Vector3::Constant(0.2);
  config.workspace_high = arm.position + law::Vector3::Constant(0.2);
  config.workspace_orientation = kDown;
  config.workspace_max_rotation = 1.2;
  return config;
}

double turn_of(const plants::Gantry & arm) {return kDown.angularDistance(arm.orientation);}

}  // namespace

TEST(Workspace, ARandomWrenchPolicyStaysInsideWithoutAFault)
{
  for (unsigned seed = 0; seed < 3; ++seed) {
    std::mt19937 rng(seed);
    std::uniform_real_distribution<double> uniform(-1.0, 1.0);
    plants::Gantry arm;
    arm.orientation = kDown;
    law::Controller<6> controller;
    ASSERT_FALSE(controller.configure(boxed(arm)));
    controller.set_mode(law::Mode::kWrench);
    const law::Vector3 start = arm.position;
    law::Vector6 push = law::Vector6::Zero();
    double farthest = 0.0, most = 0.0;
    for (int tick = 0; tick < 5000; ++tick) {
      if (tick % 100 == 0) {
        push << 13.0 * uniform(rng), 0.0, 12.0 * uniform(rng), 0.0, 3.5 * uniform(rng), 0.0;
        controller.set_target_wrench(push, 1e-3 * tick);
      }
      arm.step(controller.update(arm.measure(1e-3 * tick)));
      farthest = std::max(farthest, (arm.position - start).cwiseAbs().maxCoeff());
      most = std::max(most, turn_of(arm));
    }
    EXPECT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);
    EXPECT_GT(most, 0.8);                // it did turn
    EXPECT_LT(most, 1.3);
    EXPECT_LT(farthest, 0.2 + 0.03);
  }
}

TEST(Workspace, AConstantPushOutwardsEndsJustOutsideAndIsNoFault)
{
  plants::Gantry arm;
  arm.orientation = kDown;
  law::Controller<6> controller;
  ASSERT_FALSE(controller.configure(boxed(arm)));
  controller.set_mode(law::Mode::kWrench);
  const law::Vector3 start = arm.position;
  for (int tick = 0; tick < 6000; ++tick) {
    controller.set_target_wrench(law::six(15.0, 3.0), 1e-3 * tick);
    arm.step(controller.update(arm.measure(1e-3 * tick)));
  }
  EXPECT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);
  EXPECT_NEAR(arm.position.x() - start.x(), 0.2, 0.015);
  EXPECT_NEAR(turn_of(arm), 1.2, 0.06);
  EXPECT_LT(arm.velocity.head<3>().norm(), 0.02);
}

TEST(Workspace, OnlyTheOutwardPartOfAPushIsDropped)
{
  law::Config<6> config;
  config.workspace_max_rotation = 0.5;
  law::Pose pose;
  pose.orientation = law::quaternion_of(law::Vector3(0.0, 0.6, 0.0));
  law::Vector6 push = law::Vector6::Zero();
  push.tail<3>() << 1.0, 2.0, 3.0;
  const law::Vector6 kept = law::keep_inside(config, pose, law::Vector6::Zero(), push, nullptr);
  EXPECT_NEAR(kept[3], 1.0, 1e-9);
  EXPECT_NEAR(kept[4], -100.0 * 0.1, 1e-9);   // dropped; the spring pulls back
  EXPECT_NEAR(kept[5], 3.0, 1e-9);
  push[4] = -2.0;                            // inwards: whole, and the spring besides
  EXPECT_NEAR(law::keep_inside(config, pose, law::Vector6::Zero(), push, nullptr)[4], -12.0, 1e-9);
}

TEST(Workspace, AFaultComesFarOutsideAndAfterLong)
{
  for (const double depth : {0.04, 0.06, 0.11}) {
    plants::Gantry arm;
    law::Controller<6> controller;
    law::Config<6> config = boxed(arm);
    config.workspace_max_rotation = law::kUnlimited;
    ASSERT_FALSE(controller.configure(config));
    controller.set_mode(law::Mode::kWrench);
    arm.position.x() = config.workspace_high.x() + depth;   // held there by something
    double since = 0.0;
    for (int tick = 0; tick < 3000 && !controller.fault(); ++tick) {
      since = 1e-3 * tick;
      controller.set_target_wrench(law::Vector6::Zero(), since);
      controller.update(arm.measure(since));
    }
    if (depth < 0.05) {
      EXPECT_FALSE(controller.fault());
    } else {
      EXPECT_EQ(controller.fault().code, law::FaultCode::kOutsideWorkspace);
      EXPECT_NEAR(since, depth > 0.1 ? 0.0 : config.workspace_patience, 0.01);
    }
  }
}

TEST(Workspace, TargetPosesAreTurnedInsideAndAnArmOutsideComesBackWithoutAJump)
{
  plants::Gantry arm;
  arm.orientation = kDown;
  law::Controller<6> controller;
  const law::Config<6> config = boxed(arm);
  ASSERT_FALSE(controller.configure(config));
  controller.update(arm.measure(0.0));
  law::Pose target{arm.position, law::quaternion_of(law::Vector3(0.0, 2.0, 0.0)) * kDown};
  controller.set_target_pose(target, 0.0);
  controller.update(arm.measure(0.001));
  EXPECT_NEAR(kDown.angularDistance(controller.state().commanded.orientation), 1.2, 1e-9);

  arm.position.x() = config.workspace_high.x() + 0.1;
  controller.activate();
  controller.update(arm.measure(0.002));
  target.position.x() = arm.position.x() + 0.3;
  controller.set_target_pose(target, 0.002);
  controller.update(arm.measure(0.003));
  EXPECT_NEAR(controller.state().commanded.position.x(), arm.position.x(), 1e-9);   // no further out, no jump in
  arm.position.x() -= 0.06;
  controller.update(arm.measure(0.004));
  EXPECT_NEAR(controller.state().commanded.position.x(), arm.position.x(), 1e-9);
  arm.position.x() += 0.03;                                                          // pushed out again
  controller.update(arm.measure(0.005));
  EXPECT_NEAR(controller.state().commanded.position.x(), arm.position.x() - 0.03, 1e-9);
}

TEST(Workspace, FeedForwardForceOfAPoseTaskObeysBoxAndSpeed)
{
  plants::Gantry arm;
  arm.orientation = kDown;
  law::Controller<6> controller;
  law::Config<6> config = boxed(arm);
  config.wrench_limit = law::six(60.0, 5.0);
  config.pose_linear_speed = 0.3;
  ASSERT_FALSE(controller.configure(config));
  const double border = config.workspace_high.x();
  law::Pose target{arm.position, arm.orientation};
  law::Vector6 push = law::Vector6::Zero();
  push[0] = 60.0;   // against a spring that holds 24 N
  double fastest = 0.0, farthest = 0.0;
  for (int tick = 0; tick < 4000; ++tick) {
    controller.set_target_pose(target, 1e-3 * tick);
    controller.set_target_wrench(push, 1e-3 * tick);
    arm.step(controller.update(arm.measure(1e-3 * tick)));
    fastest = std::max(fastest, arm.velocity.head<3>().norm());
    farthest = std::max(farthest, arm.position.x() - border);
  }
  EXPECT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);
  EXPECT_LT(fastest, 1.1 * config.pose_linear_speed);
  EXPECT_LT(farthest, 0.01);
}
