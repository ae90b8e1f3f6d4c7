// SPDX-License-Identifier: Apache-2.0
// The law behind its hand-over: settings and targets of other threads, stale targets, resets; no model, no ROS.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>

#include "arm_control.hpp"
#include "counting_malloc.hpp"

namespace law = serl_impedance_controller;

namespace
{

constexpr Eigen::Index kJoints = 7;
constexpr double kPeriod = 1e-3;
const std::uint64_t kBase = law::frame_hash("base");
const std::uint64_t kTcp = law::frame_hash("tcp");

law::Settings settings()
{
  law::Settings s;
  s.nullspace_stiffness = Eigen::VectorXd::Zero(kJoints);
  s.nullspace_damping = Eigen::VectorXd::Zero(kJoints);
  s.torque_rate = Eigen::VectorXd::Constant(kJoints, 1000.0);
  s.torque_limit = Eigen::VectorXd::Constant(kJoints, 1000.0);
  s.task.smoothing = 1.0;
  s.task.pose_linear_speed = law::kUnlimited;
  return s;
}

}  // namespace

/// An arm that stands still: the first six joints are the tcp's axes, so that torque is force.
class ArmControlTest : public ::testing::Test
{
protected:
  ArmControlTest()
  : sample(kJoints), bias(Eigen::VectorXd::Zero(kJoints))
  {
    sample.jacobian.leftCols<6>().setIdentity();
    sample.pose.position = law::Vector3(0.5, 0.0, 0.3);
    control = law::ArmControl::make(kJoints, kBase, kTcp);
    EXPECT_FALSE(control->set(settings()));
    control->activate();
  }

  const Eigen::VectorXd & tick()
  {
    time += kPeriod;
    return control->tick(sample, bias, time);
  }

  law::PoseTarget target(double x) const
  {
    law::PoseTarget t;
    t.pose = sample.pose;
    t.pose.position.x() += x;
    t.stamp = time;
    t.frame = kBase;
    return t;
  }

  law::ArmSample sample;
  Eigen::VectorXd bias;
  std::unique_ptr<law::ArmControl> control;
  double time = 1e9;   // as large as a clock's
};

TEST(ArmControl, IsBuiltForTheArmsThatItNames)
{
  EXPECT_EQ(law::ArmControl::make(5, kBase, kTcp), nullptr);
  EXPECT_NE(law::ArmControl::make(6, kBase, kTcp), nullptr);
  EXPECT_STREQ(law::ArmControl::kJointNumbers, "6 or 7");
}

TEST_F(ArmControlTest, HoldsUntilATargetComesAndForgetsItAtActivation)
{
  EXPECT_NEAR(tick().norm(), 0.0, 1e-12);
  EXPECT_TRUE(control->status().holding);
  control->set_target(target(0.005));
  EXPECT_NEAR(tick()[0], 2000.0 * 0.005, 1e-9);
  EXPECT_FALSE(control->status().holding);
  control->set_target(target(0.004));  // unread when the controller is activated again
  control->activate();
  EXPECT_NEAR(tick().norm(), 0.0, 1e-12);
  EXPECT_TRUE(control->status().holding);
}

TEST_F(ArmControlTest, SettingsApplyAtTheNextTickAllOrNone)
{
  control->set_target(target(0.005));
  tick();
  law::Settings stiff = settings();
  stiff.task.stiffness = law::six(3000.0, 200.0);
  EXPECT_FALSE(control->set(stiff));
  EXPECT_NEAR(tick()[0], 3000.0 * 0.005, 1e-9);
  stiff.task.stiffness[1] = 1e6;
  stiff.task.clip_pos[0] = 1e-3;
  const auto error = control->set(stiff);
  ASSERT_TRUE(error);
  EXPECT_STREQ(error->field, "stiffness");
  EXPECT_EQ(error->index, 1);
  EXPECT_NEAR(tick()[0], 3000.0 * 0.005, 1e-9);
}

TEST_F(ArmControlTest, AStaleTargetLatchesAFaultUntilReset)
{
  control->set_target(target(0.005));
  tick();
  time += 0.6;
  tick();
  EXPECT_EQ(control->status().fault.code, law::FaultCode::kStaleTarget);
  control->set_target(target(0.005));
  tick();
  EXPECT_TRUE(control->status().holding);  // latched: a fresh target does not end it
  const auto reset = control->request_reset();
  tick();
  EXPECT_EQ(control->status().resets, reset);
  EXPECT_FALSE(control->status().fault);
  control->set_target(target(0.005));
  EXPECT_NEAR(tick()[0], 10.0, 1e-9);
}

TEST_F(ArmControlTest, AStaleTargetIsDroppedWhereThatIsAskedFor)
{
  law::Settings forgiving = settings();
  forgiving.hold_when_stale = true;
  EXPECT_FALSE(control->set(forgiving));
  control->set_target(target(0.005));
  tick();
  sample.pose.position.x() += 0.002;  // pushed; this is where it is to hold
  time += 0.6;
  EXPECT_NEAR(tick()[0], 0.0, 1e-9);
  EXPECT_FALSE(control->status().fault);
  EXPECT_TRUE(control->status().holding);
  EXPECT_EQ(control->status().stale_targets, 1u);
  law::PoseTarget old = target(0.005);
  old.stamp = time - 2.0;
  control->set_target(old);
  tick();
  EXPECT_TRUE(control->status().holding);
  EXPECT_EQ(control->status().stale_targets, 2u);
  control->set_target(target(0.005));
  EXPECT_NEAR(tick()[0], 10.0, 1e-9);
  law::PoseTarget wrong = target(0.005);
  wrong.frame = law::frame_hash("world");
  control->set_target(wrong);  // a target that is wrong, not old, still faults
  tick();
  EXPECT_EQ(control->status().fault.code, law::FaultCode::kBadFrame);
}

TEST_F(ArmControlTest, ABadTargetLatchesThoughAGoodOneFollowsBeforeTheTick)
{
  for (int kind = 0; kind < 3; ++kind) {
    tick();
    law::PoseTarget bad = target(0.001);
    if (kind == 0) {
      bad.frame = law::frame_hash("world");
    } else if (kind == 1) {
      bad.pose.position.y() = std::numeric_limits<double>::quiet_NaN();
    } else {
      bad.pose.orientation.coeffs() *= 2.0;
    }
    control->set_target(bad);
    control->set_target(target(0.001));
    tick();
    EXPECT_TRUE(control->status().fault) << kind;
    EXPECT_TRUE(control->status().holding);
    control->request_reset();
    tick();
    EXPECT_FALSE(control->status().fault);
  }
  control->set_target(target(0.001));
  law::WrenchTarget wrench;
  wrench.stamp = time;
  wrench.frame = kBase;
  control->set_target(wrench);
  wrench.frame = kTcp;
  control->set_target(wrench);
  tick();
  EXPECT_EQ(control->status().fault.code, law::FaultCode::kBadFrame);
  control->set_target(wrench);   // a bad one before an activation does not count after it
  control->set_target(law::PoseTarget{});
  control->activate();
  tick();
  EXPECT_FALSE(control->status().fault);
}

TEST_F(ArmControlTest, TwoSendersLatchAFaultThatNamesThemUntilItIsReset)
{
  control->set_target(target(0.005));
  tick();
  control->refuse_senders("target pose", "/actor and /other");
  EXPECT_NEAR(tick()[0], 0.0, 1e-9);
  EXPECT_EQ(control->status().fault.code, law::FaultCode::kTwoSenders);
  EXPECT_STREQ(control->status().fault.input, "target pose");
  EXPECT_STREQ(control->status().senders.data(), "/actor and /other");
  EXPECT_STREQ(control->senders(), "/actor and /other");
  control->refuse_senders("target pose", "/third and " + std::string(300, 'x'));   // as long as the first is latched
  tick();
  EXPECT_STREQ(control->senders(), "/actor and /other");
  control->request_reset();
  tick();
  EXPECT_FALSE(control->status().fault);
  EXPECT_STREQ(control->status().senders.data(), "");
  control->refuse_senders("target wrench", "/third and " + std::string(300, 'x'));
  tick();
  EXPECT_STREQ(control->status().fault.input, "target wrench");
  EXPECT_EQ(std::string(control->senders()).size(), law::SenderConflict::kRoom - 1);
  control->refuse_senders("target pose", "/actor and /other");
  control->activate();   // what came before it does not count
  tick();
  EXPECT_FALSE(control->status().fault);
}

TEST_F(ArmControlTest, LimitsOfTheJointsReachTheLaw)
{
  law::Settings guarded = settings();
  guarded.joint_speed = Eigen::VectorXd::Constant(kJoints, 1.0);
  EXPECT_FALSE(control->set(guarded));
  sample.dq[2] = 1.3;
  tick();
  EXPECT_EQ(control->status().fault.code, law::FaultCode::kTooFast);
  guarded.joint_low = guarded.joint_high = Eigen::VectorXd::Constant(kJoints, 1.0);
  guarded.joint_high[3] = 0.5;
  const auto error = control->set(guarded);
  ASSERT_TRUE(error);
  EXPECT_STREQ(error->field, "joint_high");
}

TEST_F(ArmControlTest, StabilityIsThatOfSettingsAndArm)
{
  law::Settings s = settings();
  s.task.frequency = 100.0;
  s.task.delay = 0.03;
  s.nullspace_damping = Eigen::VectorXd::Constant(kJoints, 1.0);
  sample.mass *= 0.1;
  EXPECT_FALSE(control->stability(s, sample).stable);
  sample.mass *= 1000.0;
  EXPECT_TRUE(control->stability(s, sample).stable);
}

TEST_F(ArmControlTest, ModesChangeByHoldingFirst)
{
  control->set_target(target(0.005));
  tick();
  law::Settings wrench = settings();
  wrench.mode = law::Mode::kWrench;
  EXPECT_FALSE(control->set(wrench));
  EXPECT_NEAR(tick().norm(), 0.0, 1e-9);
  law::WrenchTarget push;
  push.wrench << 0.0, 0.0, -4.0, 0.0, 0.0, 0.0;
  push.stamp = time;
  push.frame = kTcp;
  control->set_target(push);
  EXPECT_NEAR(tick()[2], -4.0, 1e-9);
  EXPECT_EQ(control->status().mode, law::Mode::kWrench);
}

TEST_F(ArmControlTest, AHoldInWrenchModeOutlivesTheWrenchBeforeIt)
{
  law::Settings wrench = settings();
  wrench.mode = law::Mode::kWrench;
  wrench.hold_when_stale = true;
  EXPECT_FALSE(control->set(wrench));
  tick();
  law::WrenchTarget push;
  push.wrench << 0.0, 0.0, -4.0, 0.0, 0.0, 0.0;
  push.stamp = time;
  push.frame = kTcp;
  control->set_target(push);
  EXPECT_NEAR(tick()[2], -4.0, 1e-9);
  for (int i = 0; i < 20; ++i) {
    control->set_target(target(0.001));
    time += 0.1;
    EXPECT_NEAR(tick()[0], 2000.0 * 0.001, 1e-9);
  }
  EXPECT_EQ(control->status().stale_targets, 0u);
  EXPECT_FALSE(control->status().holding);
  time += 1.0;
  EXPECT_NEAR(tick()[0], 0.0, 1e-9);
  EXPECT_TRUE(control->status().holding);
  EXPECT_EQ(control->status().stale_targets, 1u);
}

TEST_F(ArmControlTest, NothingOfATickAllocates)
{
  law::Settings other = settings();
  long inside = 0;
  int faults = 0;
  for (int i = 0; i < 500; ++i) {
    other.mode = i % 100 < 50 ? law::Mode::kPose : law::Mode::kWrench;
    other.task.stiffness.setConstant(100.0 + i % 7);
    control->set(other);
    control->set_target(target(0.001));
    sample.q[0] = i % 60 == 30 ? std::numeric_limits<double>::quiet_NaN() : 0.0;
    if (control->status().fault && i % 20 == 0) {
      control->request_reset();
      ++faults;
    }
    const long before = law::test::allocations;
    tick();
    inside += law::test::allocations - before;
  }
  EXPECT_EQ(inside, 0);
  EXPECT_GT(faults, 3);
}

TEST_F(ArmControlTest, OtherThreadsNeverDisturbATick)
{
  std::atomic<bool> stop{false};
  const auto write = [&](double sign) {
      while (!stop) {
        law::PoseTarget t;
        t.pose = sample.pose;
        t.pose.position.x() += sign * 0.003;
        t.pose.position.y() += sign * 0.003;
        t.stamp = 1e9;
        t.frame = kBase;
        control->set_target(t);
        control->set(settings());
      }
    };
  std::thread first(write, 1.0), second(write, -1.0);
  bool whole = true;
  for (int i = 0; i < 20000; ++i) {
    const Eigen::VectorXd & torque = control->tick(sample, bias, 1e9);
    whole = whole && torque.allFinite() && std::abs(torque[0] - torque[1]) < 1e-9;
  }
  stop = true;
  first.join();
  second.join();
  EXPECT_TRUE(whole);
  EXPECT_FALSE(control->fault());
}
