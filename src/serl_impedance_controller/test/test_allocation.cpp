// SPDX-License-Identifier: Apache-2.0
// No tick allocates: malloc itself (and with it operator new and Eigen's allocator) is counted in this process.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <memory>

#include "plants.hpp"

namespace
{
std::atomic<long> allocations{0};
}

extern "C" {
void * __libc_malloc(std::size_t size);                             // NOLINT
void * __libc_calloc(std::size_t count, std::size_t size);          // NOLINT
void * __libc_realloc(void * pointer, std::size_t size);            // NOLINT
void * __libc_memalign(std::size_t alignment, std::size_t size);    // NOLINT

void * malloc(std::size_t size) {++allocations; return __libc_malloc(size);}
void * calloc(std::size_t count, std::size_t size) {++allocations; return __libc_calloc(count, size);}
void * realloc(void * pointer, std::size_t size) {++allocations; return __libc_realloc(pointer, size);}
void * aligned_alloc(std::size_t alignment, std::size_t size)
{
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void ** out, std::size_t alignment, std::size_t size)
{
  ++allocations;
  *out = __libc_memalign(alignment, size);
  return *out ? 0 : 12;
}
}

namespace law = serl_impedance_controller;

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
    controller.set_target_pose(target, m.time);
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
