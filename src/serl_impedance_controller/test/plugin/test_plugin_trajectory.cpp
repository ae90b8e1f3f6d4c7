// SPDX-License-Identifier: Apache-2.0
// The plugin's torques are the law's: every tick's inputs and torque go to a file, which test_plugin_trajectory.py runs
// through the Python binding.
#include <gtest/gtest.h>

#include <fstream>
#include <iomanip>
#include <string>

#include "controller_under_test.hpp"
#include "serl_impedance_controller/rotation.hpp"

namespace law = serl_impedance_controller;
using law::test::ControllerUnderTest;
using law::test::kJoints;

namespace
{

template <typename Derived>
void write(std::ofstream & file, const Eigen::MatrixBase<Derived> & matrix)
{
  for (Eigen::Index i = 0; i < matrix.rows(); ++i) {
    for (Eigen::Index k = 0; k < matrix.cols(); ++k) {
      file << "," << matrix(i, k);
    }
  }
}

void write(std::ofstream & file, const law::Pose & pose)
{
  write(file, pose.position);
  write(file, pose.orientation.coeffs());   // xyzw
}

}  // namespace

TEST(PluginTrajectory, IsWrittenDown)
{
  ControllerUnderTest test;
  test.start();
  std::ofstream file(TRAJECTORY_FILE);
  file << std::setprecision(17);
  law::PoseTarget target = test.target(0.0);
  const law::Pose start = target.pose;
  law::ArmSample here(kJoints);
  for (int tick = 0; tick < 1500; ++tick) {
    if (tick % 100 == 10) {
      target.pose.position = start.position + 0.04 * law::Vector3(std::sin(0.01 * tick), std::cos(0.02 * tick), -0.5);
      target.pose.orientation = law::quaternion_of(law::Vector3(0.1, 0.0, 2e-4 * tick)) * start.orientation;
      target.stamp = test.now().seconds();
      test.controller.control().set_target(target);
      file << "target," << target.stamp;
      write(file, target.pose);
      file << "\n";
    }
    here.q = test.plant.q;
    here.dq = test.plant.dq;
    test.model.update(here);
    const Eigen::VectorXd & torque = test.tick();
    file << "tick," << test.now().seconds();
    write(file, here.q);
    write(file, here.dq);
    write(file, here.pose);
    write(file, here.jacobian);
    write(file, here.gravity + here.coriolis);
    write(file, here.mass);
    write(file, torque);
    file << "\n";
  }
  EXPECT_TRUE(file.good());
  EXPECT_FALSE(test.controller.control().fault());
}
