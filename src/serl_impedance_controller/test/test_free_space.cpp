// SPDX-License-Identifier: Apache-2.0
// The reference limit does not slow free motion while M Delta >= a_max (SERL, section 4.5).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "plants.hpp"

namespace law = serl_impedance_controller;

namespace
{

constexpr int kTicksPerCommand = 100;  // M: 10 Hz commands, 1 kHz law

/// Ticks an arm that lands on the limited reference at every tick takes to cross `action`.
int ideal_ticks(double clip, double action)
{
  law::Controller<6> controller;
  law::Config<6> config;
  config.smoothing = 1.0;
  config.clip_pos = config.clip_neg = law::six(clip, 0.05);
  EXPECT_FALSE(controller.configure(config));
  plants::Gantry arm;
  const double goal = arm.position.x() + action;
  controller.update(arm.measure(0.0));
  controller.set_target_pose(law::Pose{law::Vector3(goal, 0.0, 0.3), arm.orientation}, 0.0);
  for (int tick = 1; tick <= 400; ++tick) {
    controller.update(arm.measure(1e-3 * tick));
    arm.position = controller.state().limited.position;
    if (std::abs(arm.position.x() - goal) < 1e-9) {
      return tick;
    }
  }
  return 401;
}

/// Seconds until a gantry commanded `action` per 0.1 s, ten times, has covered 95 % of the way.
double travel_time(double clip, double action, law::DampedVelocity damped)
{
  law::Controller<6> controller;
  law::Config<6> config = plants::stiff_config<6>();
  config.clip_pos = config.clip_neg = law::six(clip, 0.06);
  config.damped_velocity = damped;
  EXPECT_FALSE(controller.configure(config));
  plants::Gantry arm;
  const double start = arm.position.x();
  law::Pose target{arm.position, arm.orientation};
  controller.update(arm.measure(0.0));
  for (int tick = 0; tick < 20000; ++tick) {
    const double time = 1e-3 * tick;
    if (tick % kTicksPerCommand == 0) {
      target.position.x() = start + action * std::min(10, 1 + tick / kTicksPerCommand);
      controller.set_target_pose(target, time);
    }
    arm.step(controller.update(arm.measure(time)));
    if (arm.position.x() - start > 0.95 * 10.0 * action) {
      return time;
    }
  }
  return 1e9;
}

}  // namespace

TEST(FreeSpace, TheReferenceCanCrossMTimesDeltaPerCommand)
{
  for (const double action : {0.005, 0.01, 0.04}) {
    EXPECT_LE(ideal_ticks(action / kTicksPerCommand * 1.0001, action), kTicksPerCommand);
    EXPECT_LE(ideal_ticks(0.0016, action), kTicksPerCommand);
    EXPECT_GT(ideal_ticks(0.9 * action / kTicksPerCommand, action), kTicksPerCommand);
  }
}

TEST(FreeSpace, TravelTimeIsThatOfTheUnlimitedLaw)
{
  const double action = 0.01;
  for (const auto damped : {law::DampedVelocity::kMeasured, law::DampedVelocity::kRelative}) {
    const double unlimited = travel_time(0.5, action, damped);
    ASSERT_LT(unlimited, 1.5);
    EXPECT_LE(travel_time(0.012, action, damped), 1.02 * unlimited);
  }
  // Clips of a few millimetres, as published for insertions: full speed needs the relative damper ...
  const double unlimited = travel_time(0.5, action, law::DampedVelocity::kRelative);
  for (const double clip : {0.008, 0.005}) {
    ASSERT_GE(kTicksPerCommand * clip, action);
    EXPECT_LE(travel_time(clip, action, law::DampedVelocity::kRelative), 1.05 * unlimited) << clip;
  }
  // ... because a damper on the whole velocity caps it at K Delta / D, here 68 mm/s of the 100.
  EXPECT_GE(travel_time(0.005, action, law::DampedVelocity::kMeasured), 1.3 * unlimited);
  // A clip that breaks M Delta >= a_max is slow either way, so this test can fail.
  EXPECT_GE(travel_time(0.00005, action, law::DampedVelocity::kRelative), 3.0 * unlimited);
}

TEST(FreeSpace, ArrivesWithoutOvershootOrDrift)
{
  for (const auto damped : {law::DampedVelocity::kMeasured, law::DampedVelocity::kRelative}) {
    plants::SevenJointArm arm;
    law::Controller<7> controller;
    auto config = plants::stiff_config<7>();
    config.damped_velocity = damped;
    ASSERT_FALSE(controller.configure(config));
    const law::Pose start = arm.pose;
    law::Pose target = start;
    target.position += law::Vector3(0.03, -0.04, 0.02);
    target.orientation = law::quaternion_of(law::Vector3(0.0, 0.0, 0.2)) * target.orientation;
    double overshoot = 0.0;
    for (int tick = 0; tick < 4000; ++tick) {
      controller.set_target_pose(target, 1e-3 * tick);
      arm.step(controller.update(arm.measure(1e-3 * tick)));
      overshoot = std::max(overshoot, target.position.y() - arm.pose.position.y());
    }
    const law::Vector6 error = law::pose_error(arm.pose, target);
    EXPECT_LT(error.head<3>().norm(), 5e-5);
    EXPECT_LT(error.tail<3>().norm(), 5e-4);
    EXPECT_LT(overshoot, 0.004);
    EXPECT_FALSE(controller.fault());
  }
}
