// SPDX-License-Identifier: Apache-2.0
// Bumpless: activation, modes, targets, gains, faults and resets change the torque by the rate limit at most.
#include <gtest/gtest.h>

#include <random>

#include "plants.hpp"

namespace law = serl_impedance_controller;

namespace
{

/// Largest change of the whole torque since the last call, over the limit of its joint; the first may start with the bias.
class RateWatch
{
public:
  double operator()(const law::JointVector<7> & torque, const law::JointVector<7> & bias,
    const law::JointVector<7> & rate)
  {
    const double ratio = (torque - (begun_ ? last_ : bias)).cwiseAbs().cwiseQuotient(rate).maxCoeff();
    last_ = torque;
    begun_ = true;
    return ratio;
  }

private:
  law::JointVector<7> last_;
  bool begun_ = false;
};

}  // namespace

TEST(Continuity, ActivationHoldsTheMeasuredPoseWithNothingButTheBias)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  ASSERT_FALSE(controller.configure(plants::stiff_config<7>()));
  const auto torque = controller.update(arm.measure(0.0));
  EXPECT_TRUE(torque.isApprox(arm.gravity, 1e-12));
  EXPECT_TRUE(controller.state().holding);
  EXPECT_TRUE(controller.state().limited.position.isApprox(arm.pose.position));
  EXPECT_LT(controller.state().error.norm(), 1e-12);
}

TEST(Continuity, ActivateAfterATeleportForgetsTheOldReference)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  law::Pose far = arm.pose;
  far.position.x() += 0.3;
  for (int tick = 0; tick < 200; ++tick) {
    controller.set_target_pose(far, 1e-3 * tick);
    controller.update(arm.measure(1e-3 * tick));
  }
  EXPECT_FALSE(controller.update(arm.measure(0.2)).isApprox(arm.gravity, 0.01));
  arm.q[0] += 0.5;
  arm.update();
  controller.activate();
  EXPECT_TRUE(controller.update(arm.measure(0.201)).isApprox(arm.gravity, 1e-9));
  EXPECT_TRUE(controller.state().commanded.position.isApprox(arm.pose.position));
}

TEST(Continuity, ModeChangeAtRestChangesNothing)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  ASSERT_FALSE(controller.configure(plants::stiff_config<7>()));
  law::Pose target = arm.pose;
  target.position.y() += 0.02;
  int tick = 0;
  for (; tick < 3000; ++tick) {
    controller.set_target_pose(target, 1e-3 * tick);
    arm.step(controller.update(arm.measure(1e-3 * tick)));
  }
  for (const auto mode : {law::Mode::kWrench, law::Mode::kPose}) {
    const law::JointVector<7> before = controller.state().torque;
    controller.set_mode(mode);
    const law::JointVector<7> after = controller.update(arm.measure(1e-3 * tick++));
    EXPECT_LT((after - before).cwiseAbs().maxCoeff(), 0.02);
    EXPECT_TRUE(controller.state().holding);
    EXPECT_LT(controller.state().error.norm(), 1e-9);
  }
}

TEST(Continuity, NothingTheUserDoesJumpsTheTorque)
{
  std::mt19937 rng(0);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  auto config = plants::stiff_config<7>();
  config.torque_rate << 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.3;
  config.pose_timeout = config.wrench_timeout = 0.4;
  ASSERT_FALSE(controller.configure(config));
  RateWatch watch;
  const law::Pose home = arm.pose;
  double largest = 0.0;
  int faults = 0, wrench_ticks = 0;
  for (int tick = 0; tick < 12000; ++tick) {
    const double time = 1e-3 * tick;
    if (tick % 50 == 7) {
      law::Pose target = home;
      target.position += 0.05 * law::Vector3(uniform(rng), uniform(rng), uniform(rng));
      target.orientation = law::quaternion_of(0.3 * law::Vector3(uniform(rng), uniform(rng), uniform(rng))) *
        home.orientation;
      controller.set_target_pose(target, time);
    }
    if (tick % 70 == 11) {
      controller.set_target_wrench(law::six(8.0 * uniform(rng), uniform(rng)), time);
    }
    if (tick % 900 == 899) {
      controller.set_mode(controller.state().mode == law::Mode::kPose ? law::Mode::kWrench : law::Mode::kPose);
    }
    if (tick % 700 == 699) {
      config.stiffness = law::six(2000.0 + 1000.0 * uniform(rng), 200.0 + 50.0 * uniform(rng));
      config.clip_pos = law::six(0.01 + 0.009 * uniform(rng), 0.05);
      ASSERT_FALSE(controller.configure(config));
    }
    if (tick % 2500 == 2499) {
      controller.set_target_pose(home, time, law::frame_hash("camera"));
    }
    if (tick % 2500 == 200) {
      controller.reset_fault();
    }
    const law::JointVector<7> torque = controller.update(arm.measure(time));
    largest = std::max(largest, watch(torque, arm.gravity, config.torque_rate));
    faults += controller.fault() ? 1 : 0;
    wrench_ticks += !controller.state().holding && controller.state().mode == law::Mode::kWrench ? 1 : 0;
    arm.step(torque);
  }
  EXPECT_LE(largest, 1.0 + 1e-9);
  EXPECT_GT(largest, 0.99);   // the limit was needed
  EXPECT_GT(faults, 100);     // and every branch was visited
  EXPECT_GT(wrench_ticks, 1000);
}

TEST(Continuity, ATargetIsFollowedSmoothlyAndCommandedSmoothedLimitedAreReported)
{
  plants::Gantry arm;
  law::Controller<6> controller;
  auto config = plants::stiff_config<6>();
  config.pose_linear_speed = law::kUnlimited;
  ASSERT_FALSE(controller.configure(config));
  controller.update(arm.measure(0.0));
  law::Pose target{arm.position, arm.orientation};
  target.position.z() += 0.1;
  controller.set_target_pose(target, 0.0);
  controller.update(arm.measure(0.001));
  const auto & s = controller.state();
  EXPECT_FALSE(s.holding);
  EXPECT_NEAR(s.commanded.position.z(), 0.4, 1e-12);
  EXPECT_NEAR(s.smoothed.position.z(), 0.3 + 0.05 * 0.1, 1e-12);
  for (int tick = 2; tick < 20; ++tick) {
    controller.update(arm.measure(1e-3 * tick));
  }
  EXPECT_NEAR(s.limited.position.z(), 0.3 + 0.008, 1e-12);
  EXPECT_NEAR(s.limited_error[2], -0.008, 1e-12);
  EXPECT_LT(s.error[2], -0.05);
}
