// SPDX-License-Identifier: Apache-2.0
// Times the tick of the control law and prints the percentiles as one JSON object [us].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "serl_impedance_controller/controller.hpp"

namespace law = serl_impedance_controller;

namespace
{

/// Numbers of the size a Panda shows; varied a little each tick so that nothing can be precomputed.
law::Measurement<7> sample(int tick)
{
  law::Measurement<7> m;
  const double phase = 1e-3 * tick;
  for (int j = 0; j < 7; ++j) {
    m.q[j] = 0.3 * std::sin(phase + j);
    m.dq[j] = 0.3 * std::cos(phase + j);
    m.bias[j] = 5.0 * std::sin(j + 1.0);
    for (int i = 0; i < 6; ++i) {
      m.jacobian(i, j) = 0.6 * std::sin(1.7 * i + 2.3 * j + 0.01 * phase);
    }
    m.mass(j, j) = 1.0 + 0.1 * j;
  }
  m.pose.position << 0.5 + 0.01 * std::sin(phase), 0.0, 0.3;
  m.has_mass = true;
  m.time = phase;
  return m;
}

std::vector<double> time_ticks(law::Mode mode, bool with_mass, int ticks)
{
  law::Controller<7> controller;
  law::Config<7> config;
  config.damping_kind = law::DampingKind::kRatio;
  controller.configure(config);
  controller.set_mode(mode);
  law::Pose target;
  target.position << 0.52, 0.01, 0.3;
  std::vector<double> micros;
  micros.reserve(static_cast<std::size_t>(ticks));
  double sum = 0.0;
  for (int tick = 0; tick < ticks; ++tick) {
    law::Measurement<7> m = sample(tick);
    m.has_mass = with_mass;
    if (tick % 100 == 0) {
      if (mode == law::Mode::kWrench) {
        controller.set_target_wrench(law::six(5.0, 0.5), m.time);
      } else {
        controller.set_target_pose(target, m.time);
      }
    }
    const auto start = std::chrono::steady_clock::now();
    sum += controller.update(m)[0];
    const auto stop = std::chrono::steady_clock::now();
    micros.push_back(std::chrono::duration<double, std::micro>(stop - start).count());
  }
  if (controller.fault() || sum != sum) {
    std::fprintf(stderr, "tick_benchmark: fault: %s\n", law::fault_text(controller.fault().code));
    std::exit(1);
  }
  std::sort(micros.begin(), micros.end());
  return micros;
}

std::string row(const char * name, const std::vector<double> & sorted)
{
  const auto at = [&sorted](double share) {
      return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
    };
  char text[256];
  std::snprintf(text, sizeof(text), "\"%s\": {\"p50_us\": %.3f, \"p99_us\": %.3f, "
    "\"p99.9_us\": %.3f, \"max_us\": %.3f}",
    name, at(0.5), at(0.99), at(0.999), sorted.back());
  return text;
}

}  // namespace

int main(int argc, char ** argv)
{
  const int ticks = argc > 1 ? std::atoi(argv[1]) : 200000;
  if (ticks < 1000) {
    std::fprintf(stderr, "usage: tick_benchmark [ticks, at least 1000]\n");
    return 2;
  }
  time_ticks(law::Mode::kPose, true, 1000);  // warm the caches
  std::printf("{\"ticks\": %d, %s, %s, %s}\n", ticks,
    row("pose", time_ticks(law::Mode::kPose, true, ticks)).c_str(),
    row("pose_without_mass_matrix", time_ticks(law::Mode::kPose, false, ticks)).c_str(),
    row("wrench", time_ticks(law::Mode::kWrench, true, ticks)).c_str());
  return 0;
}
