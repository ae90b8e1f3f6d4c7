// SPDX-License-Identifier: Apache-2.0
// Python module serl_impedance_controller._law.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "bind_config.hpp"
#include "bind_controller.hpp"

namespace law = serl_impedance_controller;
namespace py = pybind11;

namespace
{

void bind_enums(py::module_ & module)
{
  py::enum_<law::Mode>(module, "Mode").value("POSE", law::Mode::kPose).value("WRENCH", law::Mode::kWrench);
  py::enum_<law::GainFrame>(module, "GainFrame")
  .value("BASE", law::GainFrame::kBase).value("TCP", law::GainFrame::kTcp);
  py::enum_<law::DampingKind>(module, "DampingKind")
  .value("FIXED", law::DampingKind::kFixed).value("RATIO", law::DampingKind::kRatio);
  py::enum_<law::DampedVelocity>(module, "DampedVelocity")
  .value("MEASURED", law::DampedVelocity::kMeasured).value("RELATIVE", law::DampedVelocity::kRelative);
  py::enum_<law::FaultCode>(module, "FaultCode")
  .value("NONE", law::FaultCode::kNone)
  .value("NOT_FINITE", law::FaultCode::kNotFinite)
  .value("STALE_TARGET", law::FaultCode::kStaleTarget)
  .value("BAD_FRAME", law::FaultCode::kBadFrame)
  .value("BAD_QUATERNION", law::FaultCode::kBadQuaternion)
  .value("BAD_INERTIA", law::FaultCode::kBadInertia)
  .value("OUTSIDE_WORKSPACE", law::FaultCode::kOutsideWorkspace)
  .value("TOO_FAST", law::FaultCode::kTooFast)
  .value("OSCILLATION", law::FaultCode::kOscillation)
  .value("IMPLAUSIBLE", law::FaultCode::kImplausible)
  .value("NO_STAMP", law::FaultCode::kNoStamp)
  .value("TWO_SENDERS", law::FaultCode::kTwoSenders);
}

void bind_stability(py::module_ & module)
{
  py::class_<law::Stability>(module, "Stability", "What a configuration is worth with an arm at a posture.")
  .def_readonly("delay", &law::Stability::delay, "Declared delay [s].")
  .def_readonly("radius", &law::Stability::radius, "Growth a tick of what the loop cannot damp: unstable above 1.")
  .def_readonly("bearable", &law::Stability::bearable, "Longest delay that is stable [s]; negative: none.")
  .def_readonly("stable", &law::Stability::stable)
  .def_readonly("close", &law::Stability::close, "Stable, but not with half as much delay again and half a tick.")
  .def("text", [](const law::Stability & s, double frequency) {return law::describe(s, frequency);},
    py::arg("frequency"), "Figures and remedy in words; empty if there is nothing to say.");
}

void bind_fault(py::module_ & module)
{
  py::class_<law::Fault>(module, "Fault", "The first fault since the last reset; false if there is none.")
  .def_readonly("code", &law::Fault::code)
  .def_property_readonly("input", [](const law::Fault & f) {return std::string(f.input);}, "Which input raised it.")
  .def_readonly("time", &law::Fault::time, "[s]")
  .def_readonly("value", &law::Fault::value, "Age [s], norm, depth [m, rad], speed [m/s, rad/s] or the input, by code.")
  .def_property_readonly("text", [](const law::Fault & f) {
      std::string text;
      law::describe(f, text);
      return text.empty() ? std::string(law::fault_text(f.code)) : text;
    })
  .def("__bool__", [](const law::Fault & f) {return static_cast<bool>(f);});
}

}  // namespace

PYBIND11_MODULE(_law, module)
{
  module.doc() = "Cartesian impedance and feed-forward wrench law (C++), float64 arrays in and out.";
  bind_enums(module);
  bind_fault(module);
  bind_stability(module);
  law::python::bind_config<7>(module, "Config");
  law::python::bind_state<7>(module, "State");
  law::python::bind_controller<7>(module, "Controller");
}
