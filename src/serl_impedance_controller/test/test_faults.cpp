// SPDX-License-Identifier: Apache-2.0
// Faults: what raises them, that they latch, that the arm then holds with bounded torque, that only a reset ends them.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "plants.hpp"

namespace law = serl_impedance_controller;

namespace
{

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
using Measurement = law::Measurement<7>;

class FaultTest : public ::testing::Test
{
protected:
  void SetUp() override
  {
    ASSERT_FALSE(controller.configure(plants::stiff_config<7>()));
    goal = arm.pose;
    goal.position.y() += 0.1;
  }

  /// Follow the goal for some ticks, with fresh targets or without.
  void run(int ticks, bool fresh = true)
  {
    for (int i = 0; i < ticks; ++i, ++tick) {
      if (fresh) {
        controller.set_target_pose(goal, time());
      }
      arm.step(controller.update(arm.measure(time())));
    }
  }

  double time() const {return 1e-3 * tick;}

  /// The fault is there, stays there against good input, the arm stays where it was, until it is reset.
  void expect_latched_hold(law::FaultCode code, const std::string & input)
  {
    ASSERT_EQ(controller.fault().code, code) << law::fault_text(controller.fault().code);
    EXPECT_EQ(controller.fault().input, input);
    EXPECT_STRNE(law::fault_text(code), "unknown fault");
    const law::Vector3 held = controller.state().commanded.position;
    run(1500);
    EXPECT_EQ(controller.fault().code, code);
    EXPECT_TRUE(controller.state().holding);
    EXPECT_TRUE(controller.state().commanded.position.isApprox(held));
    EXPECT_LT((arm.pose.position - held).norm(), 2e-4);
    controller.activate();  // no way round the reset
    run(10);
    EXPECT_EQ(controller.fault().code, code);
    controller.reset_fault();
    run(1);
    EXPECT_FALSE(controller.fault());
    run(3000);
    EXPECT_LT((arm.pose.position - goal.position).norm(), 1e-3);
  }

  plants::SevenJointArm arm;
  law::Controller<7> controller;
  law::Pose goal;
  int tick = 0;
};

struct BadInput
{
  std::string name;
  std::function<void(Measurement &, double)> spoil;
};

const std::vector<BadInput> & bad_inputs()
{
  static const std::vector<BadInput> inputs{
    {"joint positions", [](Measurement & m, double bad) {m.q[3] = bad;}},
    {"joint velocities", [](Measurement & m, double bad) {m.dq[6] = bad;}},
    {"measured pose", [](Measurement & m, double bad) {m.pose.position[1] = bad;}},
    {"measured pose", [](Measurement & m, double bad) {m.pose.orientation.w() = bad;}},
    {"jacobian", [](Measurement & m, double bad) {m.jacobian(5, 6) = bad;}},
    {"bias torque", [](Measurement & m, double bad) {m.bias[0] = bad;}},
    {"mass matrix", [](Measurement & m, double bad) {m.mass(2, 2) = bad;}},
    {"time", [](Measurement & m, double bad) {m.time = bad;}}};
  return inputs;
}

}  // namespace

TEST_F(FaultTest, NotFiniteMeasurementLatchesAndTheArmHolds)
{
  for (const auto & input : bad_inputs()) {
    for (const double bad : {kNan, kInf}) {
      arm = plants::SevenJointArm();
      controller = law::Controller<7>();
      SetUp();
      run(120);
      Measurement m = arm.measure(time());
      input.spoil(m, bad);
      const law::JointVector<7> torque = controller.update(m);
      ASSERT_TRUE(torque.allFinite()) << input.name;
      arm.step(torque);
      ++tick;
      expect_latched_hold(law::FaultCode::kNotFinite, input.name);
    }
  }
}

TEST_F(FaultTest, MeasurementThatStaysBadRunsTheTorqueDownToTheBias)
{
  run(120);
  const law::JointVector<7> gravity = arm.gravity;
  law::JointVector<7> last = controller.state().torque - arm.gravity;
  for (int i = 0; i < 200; ++i) {
    Measurement m = arm.measure(time());
    m.dq[0] = kNan;
    const law::JointVector<7> task = controller.update(m) - gravity;
    EXPECT_LE((task - last).cwiseAbs().maxCoeff(), 1.0 + 1e-9);
    last = task;
    ++tick;
  }
  EXPECT_LT(last.cwiseAbs().maxCoeff(), 1e-9);
}

TEST_F(FaultTest, NotFiniteOnTheVeryFirstTickIsSafe)
{
  Measurement m = arm.measure(0.0);
  m.bias[2] = kNan;
  EXPECT_TRUE(controller.update(m).isZero());
  m = arm.measure(0.001);
  EXPECT_TRUE(controller.update(m).isApprox(arm.gravity));
  EXPECT_TRUE(controller.state().commanded.position.isApprox(arm.pose.position));
  EXPECT_EQ(controller.fault().code, law::FaultCode::kNotFinite);
}

TEST_F(FaultTest, NotFiniteTargets)
{
  run(120);
  law::Pose bad = goal;
  bad.position[0] = kNan;
  controller.set_target_pose(bad, time());
  run(1, false);
  expect_latched_hold(law::FaultCode::kNotFinite, "target pose");
  law::Vector6 wrench = law::Vector6::Zero();
  wrench[5] = kInf;
  controller.set_target_wrench(wrench, time());
  EXPECT_EQ(controller.fault().code, law::FaultCode::kNotFinite);
  EXPECT_STREQ(controller.fault().input, "target wrench");
  controller.reset_fault();
  controller.set_target_pose(goal, kNan);
  EXPECT_EQ(controller.fault().code, law::FaultCode::kNotFinite);
}

TEST_F(FaultTest, StaleTargetPose)
{
  run(120);
  run(499, false);
  EXPECT_FALSE(controller.fault());
  run(5, false);
  EXPECT_NEAR(controller.fault().value, 0.501, 2e-3);
  expect_latched_hold(law::FaultCode::kStaleTarget, "target pose");
}

TEST_F(FaultTest, StampFromAnotherClock)
{
  run(120);
  controller.set_target_pose(goal, time() + 100.0);
  run(1, false);
  expect_latched_hold(law::FaultCode::kStaleTarget, "target pose");
}

TEST_F(FaultTest, NoTargetNoWatchdog)
{
  run(120);
  controller.clear_target();
  run(5000, false);
  EXPECT_FALSE(controller.fault());
  EXPECT_TRUE(controller.state().holding);
}

TEST_F(FaultTest, WrongFrame)
{
  run(120);
  controller.set_target_pose(goal, time(), law::frame_hash("camera_link"));
  run(1, false);
  expect_latched_hold(law::FaultCode::kBadFrame, "target pose");
  controller.set_target_wrench(law::Vector6::Zero(), time(), law::frame_hash("base"));
  EXPECT_EQ(controller.fault().code, law::FaultCode::kBadFrame);
}

TEST_F(FaultTest, NonUnitQuaternions)
{
  run(120);
  law::Pose bad = goal;
  bad.orientation.coeffs() *= 1.01;
  controller.set_target_pose(bad, time());
  run(1, false);
  EXPECT_NEAR(controller.fault().value, 1.01, 1e-9);
  expect_latched_hold(law::FaultCode::kBadQuaternion, "target pose");

  Measurement m = arm.measure(time());
  m.pose.orientation.coeffs().setZero();
  EXPECT_TRUE(controller.update(m).allFinite());
  ++tick;
  expect_latched_hold(law::FaultCode::kBadQuaternion, "measured pose");
}

TEST_F(FaultTest, MassMatrixThatIsNotPositiveDefinite)
{
  run(120);
  Measurement m = arm.measure(time());
  m.mass(0, 0) = -1.0;
  EXPECT_TRUE(controller.update(m).allFinite());
  ++tick;
  expect_latched_hold(law::FaultCode::kBadInertia, "mass matrix");
}

TEST_F(FaultTest, TheFirstFaultIsKept)
{
  run(10);
  controller.set_target_pose(goal, time(), law::frame_hash("elsewhere"));
  Measurement m = arm.measure(time());
  m.q[0] = kNan;
  controller.update(m);
  EXPECT_EQ(controller.fault().code, law::FaultCode::kBadFrame);
}

TEST_F(FaultTest, ATargetSetBeforeAFaultIsNotFollowedAfterIt)
{
  run(10);
  controller.set_target_pose(goal, time(), law::frame_hash("elsewhere"));
  run(1, false);
  controller.reset_fault();
  controller.set_target_pose(goal, time());
  controller.set_target_pose(goal, time(), law::frame_hash("elsewhere"));  // before any tick
  run(1, false);
  EXPECT_TRUE(controller.state().holding);
  EXPECT_TRUE(controller.state().commanded.position.isApprox(controller.state().measured.position));
}

TEST_F(FaultTest, StaleAndStrayingWrench)
{
  auto config = plants::stiff_config<7>();
  config.workspace_low = arm.pose.position - law::Vector3::Constant(0.05);
  config.workspace_high = arm.pose.position + law::Vector3::Constant(0.05);
  config.workspace_stiffness = 0.0;  // nothing but the watchdog keeps the arm in
  config.workspace_damping = 0.0;
  ASSERT_FALSE(controller.configure(config));
  controller.set_mode(law::Mode::kWrench);
  run(10, false);
  law::Vector6 push = law::Vector6::Zero();
  push[0] = 15.0;
  controller.set_target_wrench(push, time());
  run(190, false);
  EXPECT_FALSE(controller.state().holding);
  run(30, false);
  EXPECT_EQ(controller.fault().code, law::FaultCode::kStaleTarget);
  EXPECT_STREQ(controller.fault().input, "target wrench");
  EXPECT_TRUE(controller.state().holding);
  run(2000, false);
  EXPECT_LT((arm.pose.position - controller.state().commanded.position).norm(), 5e-4);

  controller.reset_fault();
  for (int i = 0; i < 3000 && !controller.fault(); ++i) {
    controller.set_target_wrench(push, time());
    run(1, false);
  }
  EXPECT_EQ(controller.fault().code, law::FaultCode::kOutsideWorkspace);
  EXPECT_GT(controller.fault().value, config.workspace_margin);
  const law::Vector3 held = controller.state().commanded.position;
  run(3000, false);
  EXPECT_LT((arm.pose.position - held).norm(), 5e-4);
}

TEST_F(FaultTest, HoldingForceIsBounded)
{
  run(120);
  controller.set_target_pose(goal, time(), law::frame_hash("elsewhere"));
  run(1, false);
  // Drag the arm 5 cm away by hand: the hold pulls back with K Delta and no more.
  Measurement m = arm.measure(time());
  m.pose.position.x() += 0.05;
  m.dq.setZero();
  for (int i = 0; i < 200; ++i, ++tick) {
    m.time = time();
    controller.update(m);
  }
  EXPECT_NEAR(controller.state().wrench[0], -3000.0 * 0.008, 1e-6);
}

TEST_F(FaultTest, OutputIsFiniteAndBoundedWhateverComesIn)
{
  std::mt19937 rng(0);
  std::uniform_int_distribution<int> pick(0, 40);
  const auto bad = [&]() {
      const std::vector<double> values{kNan, kInf, -kInf, 1e308, -1e308, 1e-308, 0.0};
      return values[static_cast<std::size_t>(pick(rng)) % values.size()];
    };
  const law::JointVector<7> limit = controller.config().torque_limit;
  int faults = 0;
  for (int trial = 0; trial < 20000; ++trial, ++tick) {
    Measurement m = arm.measure(time());
    m.has_mass = pick(rng) > 10;
    const auto which = static_cast<std::size_t>(pick(rng));
    if (which < bad_inputs().size()) {
      bad_inputs()[which].spoil(m, bad());
    }
    law::Pose target = goal;
    if (pick(rng) == 0) {
      target.position[0] = bad();
    }
    if (pick(rng) == 0) {
      target.orientation.x() = bad();
    }
    controller.set_target_pose(target, pick(rng) == 0 ? bad() : time());
    const law::JointVector<7> torque = controller.update(m);
    ASSERT_TRUE(torque.allFinite()) << trial;
    ASSERT_TRUE((torque.cwiseAbs().array() <= limit.array() + 1e-9).all()) << trial;
    if (controller.fault()) {
      ++faults;
      controller.reset_fault();
    }
  }
  EXPECT_GT(faults, 1000);
}
