// SPDX-License-Identifier: Apache-2.0
// |F| <= k_p Delta + 2 k_d Delta f per axis, against a stiff wall and for any state at all.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>

#include "plants.hpp"

namespace law = serl_impedance_controller;

namespace
{

/// Axis 0..2, direction +1 / -1, gain frame: push into a wall across that axis with a target 0.2 m behind it.
class WallTest : public ::testing::TestWithParam<std::tuple<int, int, law::GainFrame, law::DampedVelocity>>
{
};

law::Config<6> asymmetric_config()
{
  law::Config<6> config = plants::stiff_config<6>();
  config.clip_pos << 0.0075, 0.0016, 0.0055, 0.02, 0.05, 0.01;
  config.clip_neg << 0.002, 0.0018, 0.005, 0.02, 0.05, 0.01;
  return config;
}

struct Contact
{
  double most = 0.0;    // largest wall force after the impact has died away [N]
  double least = 1e9;   // and smallest [N]
};

Contact push(plants::Gantry & arm, law::Controller<6> & controller, const law::Vector3 & direction)
{
  Contact contact;
  law::Pose target{arm.position + 0.2 * direction, arm.orientation};
  controller.update(arm.measure(0.0));
  for (int tick = 1; tick <= 4000; ++tick) {
    const double time = 1e-3 * tick;
    if (tick % 100 == 1) {
      controller.set_target_pose(target, time);
    }
    arm.step(controller.update(arm.measure(time)));
    const auto & state = controller.state();
    const law::Matrix3 axes = controller.config().gain_frame == law::GainFrame::kTcp ?
      state.measured.orientation.toRotationMatrix() : law::Matrix3(law::Matrix3::Identity());
    const law::Vector6 bound = law::force_bound(controller.config(), state.damping);
    // What reaches the arm, not only what the law wanted: the rate limit must not undo the bound.
    const law::Vector6 sent = law::rotate(axes.transpose(), state.torque - arm.bias);
    const law::Vector6 wanted = law::rotate(axes.transpose(), state.wrench);
    for (int i = 0; i < 6; ++i) {
      EXPECT_LE(std::abs(wanted[i]), bound[i] * (1.0 + 1e-9)) << "axis " << i << " tick " << tick;
      EXPECT_LE(std::abs(sent[i]), bound[i] * 1.001) << "axis " << i << " tick " << tick;
    }
    if (tick > 3000) {
      const double force = -arm.wall.force(arm.position).dot(direction);
      contact.most = std::max(contact.most, force);
      contact.least = std::min(contact.least, force);
    }
  }
  return contact;
}

}  // namespace

TEST_P(WallTest, SteadyForceIsStiffnessTimesTheClipOfThatSign)
{
  const auto [axis, sign, frame, damped] = GetParam();
  plants::Gantry arm;
  law::Controller<6> controller;
  auto config = asymmetric_config();
  config.gain_frame = frame;
  config.damped_velocity = damped;
  ASSERT_FALSE(controller.configure(config));
  if (frame == law::GainFrame::kTcp) {
    arm.orientation = Eigen::AngleAxisd(M_PI, law::Vector3::UnitX());  // tool down: y and z are mirrored
  }
  const law::Vector3 direction = sign * law::Vector3::Unit(axis);
  arm.wall = plants::Wall{direction, direction.dot(arm.position) + 0.02, 1e5};
  const Contact contact = push(arm, controller, direction);

  const double along = (frame == law::GainFrame::kTcp && axis > 0) ? -sign : sign;
  const double clip = along > 0 ? config.clip_neg[axis] : config.clip_pos[axis];  // a push along + has e < 0
  const double expected = config.stiffness[axis] * clip;
  EXPECT_NEAR(contact.most, expected, 0.02 * expected);
  EXPECT_NEAR(contact.least, expected, 0.02 * expected);
  EXPECT_FALSE(controller.fault());
}

INSTANTIATE_TEST_SUITE_P(
  AxesSignsFrames, WallTest,
  ::testing::Combine(
    ::testing::Values(0, 1, 2), ::testing::Values(1, -1),
    ::testing::Values(law::GainFrame::kBase, law::GainFrame::kTcp),
    ::testing::Values(law::DampedVelocity::kMeasured, law::DampedVelocity::kRelative)));

TEST(ForceBound, WithoutTheLimitTheSamePushBreaksIt)
{
  plants::Gantry arm;
  law::Controller<6> controller;
  auto config = asymmetric_config();
  const double bound = config.stiffness[2] * config.clip_pos[2];
  config.clip_pos = config.clip_neg = law::six(0.5, 1.0);
  config.torque_limit.setConstant(1000.0);
  config.torque_rate.setConstant(100.0);
  ASSERT_FALSE(controller.configure(config));
  arm.wall = plants::Wall{law::Vector3(0, 0, -1), -0.28, 1e5};
  const Contact contact = push(arm, controller, law::Vector3(0, 0, -1));
  EXPECT_GT(contact.least, 10.0 * bound);  // 3000 N/m * 0.18 m
}

TEST(ForceBound, HoldsForAnyPoseVelocityAndTarget)
{
  std::mt19937 rng(0);
  std::normal_distribution<double> normal;
  const auto six = [&](double linear, double angular) {
      law::Vector6 v = law::six(linear, angular);
      return law::Vector6(v.cwiseProduct(law::Vector6::NullaryExpr([&]() {return normal(rng);})));
    };
  for (int trial = 0; trial < 5000; ++trial) {
    law::Config<7> config;
    config.gain_frame = trial % 2 ? law::GainFrame::kTcp : law::GainFrame::kBase;
    config.damped_velocity = trial % 3 ? law::DampedVelocity::kMeasured : law::DampedVelocity::kRelative;
    config.damping_kind = trial % 5 ? law::DampingKind::kRatio : law::DampingKind::kFixed;
    config.clip_pos = six(0.01, 0.05).cwiseAbs().cwiseMax(1e-6);
    config.clip_neg = six(0.01, 0.05).cwiseAbs().cwiseMax(1e-6);
    ASSERT_FALSE(law::validate(config));
    law::Pose measured{six(1, 1).head<3>(), law::quaternion_of(six(1, 2).tail<3>())};
    law::Pose target{six(1, 1).head<3>(), law::quaternion_of(six(1, 2).tail<3>())};
    const law::Matrix6 root = law::Matrix6::NullaryExpr([&]() {return normal(rng);});
    const law::Matrix6 mobility = root * root.transpose();
    const auto out = law::impedance_law(config, measured, six(10, 50), target, six(10, 50), &mobility);
    const law::Matrix3 axes = config.gain_frame == law::GainFrame::kTcp ?
      measured.orientation.toRotationMatrix() : law::Matrix3(law::Matrix3::Identity());
    const law::Vector6 wrench = law::rotate(axes.transpose(), out.wrench);
    const law::Vector6 bound = law::force_bound(config, out.damping);
    for (int i = 0; i < 6; ++i) {
      EXPECT_LE(std::abs(wrench[i]), bound[i] * (1.0 + 1e-9) + 1e-12);
      EXPECT_LE(std::abs(out.limited_error[i]), std::max(config.clip_pos[i], config.clip_neg[i]));
    }
  }
}

TEST(ForceBound, RelativeDampingNeverPushes)
{
  std::mt19937 rng(1);
  std::normal_distribution<double> normal;
  const auto six = [&]() {return law::Vector6(law::Vector6::NullaryExpr([&]() {return normal(rng);}));};
  for (int trial = 0; trial < 2000; ++trial) {
    const law::Vector6 measured = six(), target = six();
    const law::Vector6 damped = law::damped_velocity(law::DampedVelocity::kRelative, measured, target);
    for (int i = 0; i < 6; ++i) {
      EXPECT_GE(damped[i] * measured[i], 0.0);                                // only ever brakes
      EXPECT_LE(std::abs(damped[i]), std::abs(measured[i]));
      if (measured[i] * target[i] <= 0.0) {EXPECT_EQ(damped[i], measured[i]);}  // against the target: all of it
    }
  }
}

TEST(ForceBound, SevenJointArmAgainstAWall)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  auto config = plants::stiff_config<7>();
  ASSERT_FALSE(controller.configure(config));
  arm.wall = plants::Wall{law::Vector3(0, 0, -1), -(arm.pose.position.z() - 0.02), 5e4};
  law::Pose target = arm.pose;
  target.position.z() -= 0.15;
  double most = 0.0, least = 1e9;
  for (int tick = 0; tick < 4000; ++tick) {
    const double time = 1e-3 * tick;
    if (tick % 100 == 1) {
      controller.set_target_pose(target, time);
    }
    arm.step(controller.update(arm.measure(time)));
    const auto & state = controller.state();
    const law::Vector6 bound = law::force_bound(config, state.damping);
    ASSERT_TRUE((state.wrench.cwiseAbs().array() <= bound.array() * (1.0 + 1e-9)).all()) << tick;
    if (tick > 3000) {
      most = std::max(most, arm.wall.force(arm.pose.position).z());
      least = std::min(least, arm.wall.force(arm.pose.position).z());
    }
  }
  EXPECT_NEAR(most, 24.0, 1.0);
  EXPECT_NEAR(least, 24.0, 1.0);
}
