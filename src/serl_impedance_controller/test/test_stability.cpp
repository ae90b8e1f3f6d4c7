// SPDX-License-Identifier: Apache-2.0
// A loop that oscillates is told from its figures, is noticed within 0.3 s and ends in a soft hold; one that settles is not.
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <string>

#include "plants.hpp"
#include "serl_impedance_controller/stability.hpp"

namespace law = serl_impedance_controller;

namespace
{

/// Six masses, each moved by its own force, whose sampled motion is exact; the force comes some ticks late.
struct Masses
{
  Masses(double rate, int delay, double scale)
  : period(1.0 / rate), inertia(scale * law::six(4.0, 0.2)), pending(static_cast<std::size_t>(delay),
      law::Vector6::Zero())
  {
  }

  law::Measurement<6> measure() const
  {
    law::Measurement<6> m;
    m.q = position;
    m.dq = velocity;
    m.pose.position = position.head<3>();
    m.pose.orientation = law::quaternion_of(position.tail<3>());
    m.jacobian.setIdentity();
    m.mass = inertia.asDiagonal();
    m.has_mass = true;
    m.time = time;
    return m;
  }

  void step(const law::Vector6 & torque)
  {
    pending.push_back(torque);
    const law::Vector6 acceleration = pending.front().cwiseQuotient(inertia);
    pending.pop_front();
    position += period * velocity + 0.5 * period * period * acceleration;
    velocity += period * acceleration;
    time += period;
  }

  double period;
  law::Vector6 inertia;
  law::Vector6 position = law::Vector6::Zero();
  law::Vector6 velocity = law::Vector6::Zero();
  std::deque<law::Vector6> pending;
  double time = 0.0;
};

law::Config<6> config_at(double rate, int delay, law::DampingKind kind)
{
  law::Config<6> config;
  config.frequency = rate;
  config.delay = std::min(0.1, delay / rate);
  config.damping_kind = kind;
  config.clip_pos = config.clip_neg = law::six(0.02, 0.1);
  config.torque_rate.setConstant(1000.0);   // the figures are those of a linear loop
  config.torque_limit << 40.0, 40.0, 40.0, 5.0, 5.0, 5.0;
  return config;
}

struct Row
{
  double radius = 0.0;
  double fault_after = 1e9;   // [s]
  double soft_bandwidth = 0.0;
  double rest = 0.0;          // speed in the end [m/s, rad/s]
};

/// Kick the masses along two axes and hold.
Row hold(double rate, int delay, double scale, law::DampingKind kind)
{
  const law::Config<6> config = config_at(rate, delay, kind);
  Masses arm(rate, delay, scale);
  law::Controller<6> controller;
  EXPECT_FALSE(controller.configure(config));
  Row row;
  row.radius = law::spectral_radius(config, arm.measure(), config.delay);
  controller.update(arm.measure());
  arm.velocity << 0.4, 0.0, 0.0, 0.0, 0.6, 0.0;
  while (arm.time < 6.0) {
    arm.step(controller.update(arm.measure()));
    if (controller.fault() && row.fault_after > 1e8) {
      row.fault_after = arm.time;
      EXPECT_EQ(controller.fault().code, law::FaultCode::kOscillation);
    }
    row.rest = arm.time > 5.8 ? std::max(row.rest, arm.velocity.norm()) : 0.0;
  }
  row.soft_bandwidth = controller.soft_bandwidth();
  return row;
}

}  // namespace

TEST(Stability, EveryUnstableRowLatchesWithinThreeTenthsAndNoStableOne)
{
  int unstable = 0, stable = 0;
  for (const double rate : {100.0, 200.0, 500.0, 1000.0}) {
    for (const int delay : {0, 1, 2, 3}) {
      for (const double scale : {0.1, 0.3, 1.0, 4.0}) {
        for (const auto kind : {law::DampingKind::kFixed, law::DampingKind::kRatio}) {
          const Row row = hold(rate, delay, scale, kind);
          const std::string name = std::to_string(rate) + " Hz, delay " + std::to_string(delay) + ", inertia " +
            std::to_string(scale) + (kind == law::DampingKind::kFixed ? ", fixed, radius " : ", ratio, radius ") +
            std::to_string(row.radius);
          if (row.radius < 1.0) {
            EXPECT_GT(row.fault_after, 1e8) << name;
            ++stable;
          } else {
            EXPECT_LE(row.fault_after, 0.3) << name;
            EXPECT_GT(row.soft_bandwidth, 0.0) << name;
            EXPECT_LT(row.rest, 0.05) << name;
            ++unstable;
          }
        }
      }
    }
  }
  EXPECT_GT(unstable, 20);
  EXPECT_GT(stable, 20);
}

TEST(Stability, FiguresAreThoseOfASingleMass)
{
  law::Config<6> config = config_at(1000.0, 0, law::DampingKind::kFixed);
  config.stiffness.setZero();
  config.damping = law::six(100.0, 1.0);
  config.delay = 0.0;
  Masses arm(1000.0, 0, 1.0);
  arm.inertia = law::six(0.04, 1.0);
  // A damper alone, held for a tick: v <- (1 - D h / m) v, here -1.5 v.
  EXPECT_NEAR(law::spectral_radius(config, arm.measure(), 0.0), 1.5, 1e-6);
  const law::Stability check = law::check_stability(config, arm.measure());
  EXPECT_FALSE(check.stable);
  EXPECT_LT(check.bearable, 0.0);
  const std::string text = law::describe(check, config.frequency);
  EXPECT_NE(text.find("oscillate at 1000 Hz"), std::string::npos) << text;
  EXPECT_NE(text.find("growth a tick 1.5"), std::string::npos) << text;
  // Without sampling, D e^{-s T} / m s is stable up to T = pi m / (2 D): half a tick of it is the hold's.
  arm.inertia = law::six(1.0, 1.0);
  EXPECT_NEAR(law::check_stability(config, arm.measure()).bearable, M_PI * 1.0 / 200.0 - 5e-4, 5e-4);
  EXPECT_EQ(law::describe(law::check_stability(config, arm.measure()), 1000.0), "");
}

TEST(Stability, TheWholeArmIsChecked)
{
  plants::SevenJointArm arm;
  law::Config<7> config = plants::stiff_config<7>();
  EXPECT_TRUE(law::check_stability(config, arm.measure(0.0)).stable);
  config.nullspace_damping.setConstant(50.0);   // too much for the inertia of the last joints
  config.frequency = 200.0;
  config.delay = 0.005;
  EXPECT_FALSE(law::check_stability(config, arm.measure(0.0)).stable);
}

TEST(Damping, IsForTheInertiaThatTheTcpShows)
{
  // Two coupled axes: blocked they have 5 kg each, free only 1 / 0.5556.
  law::Matrix6 lambda = law::Matrix6::Identity();
  lambda.topLeftCorner<2, 2>() << 5.0, 4.0, 4.0, 5.0;
  const law::Matrix6 mobility = lambda.inverse();
  const law::Vector6 damping = law::damping_from_ratio(
    law::six(1.0, 1.0), law::six(2000.0, 150.0), mobility, law::Matrix3::Identity());
  EXPECT_NEAR(damping[0], 2.0 * std::sqrt(2000.0 * 9.0 / 5.0), 1e-6);
  EXPECT_NEAR(damping[2], 2.0 * std::sqrt(2000.0), 1e-6);
}

TEST(Oscillation, WhoMovesTheTargetToAndFroIsNoFault)
{
  plants::Gantry arm;
  law::Controller<6> controller;
  law::Config<6> config = plants::stiff_config<6>();
  config.clip_pos = config.clip_neg = law::six(0.05, 0.06);
  ASSERT_FALSE(controller.configure(config));
  const law::Vector3 start = arm.position;
  double fastest = 0.0;
  for (int tick = 0; tick < 4000; ++tick) {
    if (tick % 50 == 0) {   // 20 Hz, there and back
      const double side = tick % 100 == 0 ? 1.0 : -1.0;
      controller.set_target_pose(law::Pose{start + law::Vector3(0.03 * side, 0.0, 0.0), arm.orientation}, 1e-3 * tick);
    }
    arm.step(controller.update(arm.measure(1e-3 * tick)));
    fastest = std::max(fastest, arm.velocity.norm());
  }
  EXPECT_GT(fastest, controller.config().oscillation_speed);
  EXPECT_FALSE(controller.fault()) << law::fault_text(controller.fault().code);
}
