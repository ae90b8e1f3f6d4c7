// SPDX-License-Identifier: Apache-2.0
// No tick allocates: malloc itself (and with it operator new and Eigen's allocator) is counted in this process.
#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "counting_malloc.hpp"
#include "plants.hpp"

namespace law = serl_impedance_controller;
using law::test::allocations;

TEST(Allocation, TheCounterSeesNewMallocAndEigen)
{
  long before = allocations;
  auto number = std::make_unique<double>(1.0);
  EXPECT_GT(allocations, before);
  before = allocations;
  volatile int size = 9;
  Eigen::VectorXd vector = Eigen::VectorXd::Zero(size);
  EXPECT_GT(allocations, before);
  EXPECT_EQ(vector.size() + *number, 10.0);
}

TEST(Allocation, NoTickNoTargetNoFaultAndNoConfigurationAllocates)
{
  plants::SevenJointArm arm;
  law::Controller<7> controller;
  auto config = plants::stiff_config<7>();
  config.workspace_high.setConstant(2.0);
  config.workspace_low.setConstant(-2.0);
  law::Measurement<7> m = arm.measure(0.0);
  law::Pose target = arm.pose;
  target.position.x() += 0.05;
  target.orientation = law::quaternion_of(law::Vector3(0.1, 0.2, 0.3)) * target.orientation;
  double sum = 0.0;
  int faults = 0, wrench_ticks = 0;

  const long before = allocations;
  for (int tick = 0; tick < 2000; ++tick) {
    m.time = 1e-3 * tick;
    m.has_mass = tick % 2 == 0;
    m.q[2] = tick % 500 == 250 ? std::numeric_limits<double>::quiet_NaN() : 0.0;
    config.gain_frame = tick % 3 ? law::GainFrame::kBase : law::GainFrame::kTcp;
    config.damped_velocity = tick % 5 ? law::DampedVelocity::kMeasured : law::DampedVelocity::kRelative;
    controller.configure(config);
    controller.set_mode(tick % 200 < 100 ? law::Mode::kPose : law::Mode::kWrench);
    if (controller.state().mode == law::Mode::kPose || tick % 10 == 0) {
      controller.set_target_pose(target, m.time);
    }
    controller.set_target_wrench(law::six(1.0, 0.1), m.time);
    sum += controller.update(m).sum();
    wrench_ticks += controller.state().holding ? 0 : controller.state().mode == law::Mode::kWrench;
    if (controller.fault() && tick % 100 == 0) {
      ++faults;
      controller.reset_fault();
    }
  }
  const long after = allocations;
  EXPECT_EQ(after - before, 0);
  EXPECT_TRUE(std::isfinite(sum));
  EXPECT_GT(faults, 2);
  EXPECT_GT(wrench_ticks, 200);
}
