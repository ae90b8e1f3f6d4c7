// SPDX-License-Identifier: Apache-2.0
// The pieces of the law: rotations, limits, target filter, torque limits, configuration.
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

#include "serl_impedance_controller/controller.hpp"

namespace law = serl_impedance_controller;

namespace
{

Eigen::Quaterniond random_rotation(std::mt19937 & rng)
{
  std::normal_distribution<double> normal;
  return Eigen::Quaterniond(normal(rng), normal(rng), normal(rng), normal(rng)).normalized();
}

law::Vector6 random_six(std::mt19937 & rng, double scale)
{
  std::uniform_real_distribution<double> uniform(-scale, scale);
  return law::Vector6::NullaryExpr([&]() {return uniform(rng);});
}

}  // namespace

TEST(Rotation, LogAndExpAreInverse)
{
  std::mt19937 rng(0);
  for (int i = 0; i < 1000; ++i) {
    const auto q = random_rotation(rng);
    const law::Vector3 v = law::rotation_vector(q);
    EXPECT_LE(v.norm(), M_PI + 1e-12);
    EXPECT_LT(law::quaternion_of(v).angularDistance(q), 1e-7);
  }
  const law::Vector3 tiny(1e-10, -2e-10, 0.0);
  EXPECT_TRUE(law::rotation_vector(law::quaternion_of(tiny)).isApprox(tiny, 1e-6));
}

TEST(Rotation, QuaternionSignDoesNotMatter)
{
  std::mt19937 rng(1);
  for (int i = 0; i < 100; ++i) {
    const auto q = random_rotation(rng);
    Eigen::Quaterniond minus;
    minus.coeffs() = -q.coeffs();
    EXPECT_TRUE(law::rotation_vector(q).isApprox(law::rotation_vector(minus)));
  }
}

TEST(Rotation, PoseErrorIsMeasuredMinusReference)
{
  law::Pose measured, reference;
  measured.position << 0.3, 0.0, 0.0;
  reference.position << 0.1, 0.0, 0.5;
  measured.orientation = Eigen::AngleAxisd(0.3, law::Vector3::UnitZ());
  reference.orientation = Eigen::AngleAxisd(0.1, law::Vector3::UnitZ());
  law::Vector6 expected;
  expected << 0.2, 0.0, -0.5, 0.0, 0.0, 0.2;
  EXPECT_TRUE(law::pose_error(measured, reference).isApprox(expected, 1e-12));
}

TEST(ReferenceLimiter, ClipsPerAxisAndPerSign)
{
  law::Vector6 error, pos, neg, expected;
  error << 1.0, -1.0, 0.001, -0.001, 0.5, -0.5;
  pos << 0.0075, 0.0016, 0.0055, 0.01, 0.025, 0.005;
  neg << 0.002, 0.0018, 0.005, 0.02, 0.03, 0.006;
  expected << 0.0075, -0.0018, 0.001, -0.001, 0.025, -0.006;
  EXPECT_TRUE(law::limit_error(error, pos, neg).isApprox(expected, 1e-15));
}

TEST(ReferenceLimiter, ReferenceOfInvertsThePoseError)
{
  std::mt19937 rng(2);
  for (int i = 0; i < 200; ++i) {
    law::Pose measured;
    measured.position = random_six(rng, 1.0).head<3>();
    measured.orientation = random_rotation(rng);
    const law::Vector6 error = random_six(rng, 0.5);
    EXPECT_TRUE(law::pose_error(measured, law::reference_of(measured, error)).isApprox(error, 1e-9));
  }
}

TEST(TargetFilter, SlerpGoesTheShortWayRound)
{
  std::mt19937 rng(3);
  for (int i = 0; i < 200; ++i) {
    law::Pose start, target;
    start.orientation = random_rotation(rng);
    target.orientation = random_rotation(rng);
    if (i % 2) {
      target.orientation.coeffs() *= -1.0;
    }
    law::TargetFilter filter;
    filter.reset(start);
    const double whole = start.orientation.angularDistance(target.orientation);  // at most pi
    double left = whole, path = 0.0;
    for (int k = 0; k < 400; ++k) {
      const auto before = filter.pose().orientation;
      filter.step(target, 0.05, 1000.0);
      path += before.angularDistance(filter.pose().orientation);
      const double now = filter.pose().orientation.angularDistance(target.orientation);
      EXPECT_LE(now, left + 1e-7);
      left = now;
    }
    EXPECT_LT(left, 1e-6);
    EXPECT_NEAR(path, whole, 1e-5);
  }
}

TEST(TargetFilter, MatchesTheClosedFormAndItsVelocity)
{
  law::TargetFilter filter;
  filter.reset(law::Pose{});
  law::Pose target;
  target.position << 0.1, -0.2, 0.3;
  target.orientation = Eigen::AngleAxisd(1.2, law::Vector3(1.0, 2.0, -1.0).normalized());
  for (int k = 1; k <= 300; ++k) {
    const law::Pose before = filter.pose();
    filter.step(target, 0.02, 1000.0);
    const double share = 1.0 - std::pow(0.98, k);
    EXPECT_TRUE(filter.pose().position.isApprox(share * target.position, 1e-9));
    EXPECT_LT(filter.pose().orientation.angularDistance(
      Eigen::Quaterniond::Identity().slerp(share, target.orientation)), 1e-6);
    EXPECT_TRUE(filter.twist().isApprox(1000.0 * law::pose_error(filter.pose(), before), 1e-6));
  }
}

TEST(TorqueLimiter, RateKeepsTheDirection)
{
  using Vector = law::JointVector<7>;
  law::TorqueLimiter<7> limiter;
  Vector wanted, rate = Vector::Constant(1.0);
  wanted << 10.0, -4.0, 0.0, 2.0, 1.0, 0.5, -0.1;
  const Vector limit = Vector::Constant(87.0);
  for (int k = 1; k <= 12; ++k) {
    const Vector torque = limiter.step(wanted, Vector::Zero(), rate, limit);
    EXPECT_TRUE(torque.isApprox(std::min(1.0, 0.1 * k) * wanted, 1e-12)) << k;
  }
}

TEST(TorqueLimiter, RateOfEachJointHolds)
{
  using Vector = law::JointVector<7>;
  std::mt19937 rng(4);
  std::uniform_real_distribution<double> uniform(-50.0, 50.0);
  law::TorqueLimiter<7> limiter;
  Vector rate;
  rate << 1.0, 1.0, 0.5, 0.5, 0.2, 0.2, 0.1;
  Vector last = Vector::Zero();
  for (int k = 0; k < 2000; ++k) {
    const Vector wanted = Vector::NullaryExpr([&]() {return uniform(rng);});
    const Vector torque = limiter.step(wanted, Vector::Zero(), rate, Vector::Constant(1000.0));
    EXPECT_TRUE(((torque - last).cwiseAbs().array() <= rate.array() + 1e-12).all());
    last = torque;
  }
}

TEST(TorqueLimiter, WholeTorqueStaysInsideAndTheFirstBiasIsThereAtOnce)
{
  using Vector = law::JointVector<7>;
  law::TorqueLimiter<7> limiter;
  const Vector limit = law::default_torque_limit<7>();
  const Vector bias = Vector::Constant(8.0);
  EXPECT_TRUE(limiter.step(Vector::Zero(), bias, Vector::Constant(0.1), limit).isApprox(bias));
  Vector torque;
  for (int k = 0; k < 500; ++k) {
    torque = limiter.step(Vector::Constant(200.0), bias, Vector::Constant(1.0), limit);
    ASSERT_TRUE((torque.cwiseAbs().array() <= limit.array() + 1e-12).all());
  }
  EXPECT_NEAR(torque[6], limit[6], 1e-9);
}

TEST(TorqueLimiter, ABiasThatMovesIsWithinTheRateToo)
{
  using Vector = law::JointVector<7>;
  std::mt19937 rng(5);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  law::TorqueLimiter<7> limiter;
  const Vector rate = Vector::Constant(1.0), limit = law::default_torque_limit<7>();
  Vector bias = Vector::Constant(3.0), goal = Vector::Zero();
  Vector last = limiter.step(goal, bias, rate, limit);
  double largest = 0.0;
  for (int k = 0; k < 20000; ++k) {
    // Coriolis torques move by hundredths of a Nm a tick; some of the rows are those of a model that jumps.
    bias += (k % 500 == 499 ? 3.0 : 0.05) * Vector(Vector::NullaryExpr([&]() {return uniform(rng);}));
    bias = bias.cwiseMin(6.0).cwiseMax(-6.0);
    if (k % 40 == 0) {
      goal = 30.0 * Vector::NullaryExpr([&]() {return uniform(rng);});
    }
    const Vector torque = limiter.step(goal, bias, rate, limit);
    largest = std::max(largest, (torque - last).cwiseAbs().maxCoeff());
    ASSERT_TRUE((torque.cwiseAbs().array() <= limit.array() + 1e-12).all()) << k;
    last = torque;
  }
  EXPECT_LE(largest, 1.0 + 1e-9);
  EXPECT_GT(largest, 0.99);   // the limit was needed
}

TEST(TorqueLimiter, ABiasThatMovesStillLeavesTheGoalReached)
{
  using Vector = law::JointVector<7>;
  law::TorqueLimiter<7> limiter;
  const Vector goal = Vector::Constant(5.0), rate = Vector::Constant(1.0), limit = Vector::Constant(87.0);
  Vector torque;
  for (int k = 0; k < 100; ++k) {
    torque = limiter.step(goal, Vector::Constant(0.02 * k), rate, limit);
  }
  EXPECT_TRUE(torque.isApprox(Vector::Constant(5.0 + 0.02 * 99), 1e-12));
}

TEST(Config, NamesTheFieldOutOfRangeAndKeepsTheOldConfiguration)
{
  law::Controller<7> controller;
  law::Config<7> config;
  config.stiffness[4] = -1.0;
  auto error = controller.configure(config);
  ASSERT_TRUE(error.has_value());
  EXPECT_STREQ(error->field, "stiffness");
  EXPECT_EQ(error->index, 4);
  EXPECT_EQ(controller.config().stiffness[4], 150.0);

  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {nan, 0.0, 1.5}) {
    config = law::Config<7>{};
    config.smoothing = bad;
    error = controller.configure(config);
    ASSERT_TRUE(error.has_value());
    EXPECT_STREQ(error->field, "smoothing");
  }
  config = law::Config<7>{};
  config.workspace_low[1] = 0.2;
  config.workspace_high[1] = 0.1;
  error = controller.configure(config);
  ASSERT_TRUE(error.has_value());
  EXPECT_STREQ(error->field, "workspace_high");
  EXPECT_FALSE(controller.configure(law::Config<7>{}).has_value());
}
