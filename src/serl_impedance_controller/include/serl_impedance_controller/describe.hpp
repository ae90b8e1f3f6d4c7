// SPDX-License-Identifier: Apache-2.0
/// \file
/// Faults and range errors in words, for bindings and nodes; not for a real-time thread unless said.
#ifndef SERL_IMPEDANCE_CONTROLLER__DESCRIBE_HPP_
#define SERL_IMPEDANCE_CONTROLLER__DESCRIBE_HPP_

#include <cmath>
#include <sstream>
#include <string>

#include "serl_impedance_controller/config.hpp"
#include "serl_impedance_controller/fault.hpp"

namespace serl_impedance_controller
{

/// Input, cause and remedy of a fault into `text`; empty without a fault. Allocates only if `text` has no room (255
/// characters are enough), so a real-time thread can call it.
inline void describe(const Fault & fault, std::string & text)
{
  text.clear();
  if (!fault) {
    return;
  }
  if (fault.input[0] != '\0') {
    text.append(fault.input).append(": ");
  }
  text.append(fault_text(fault.code));
}

/// A field out of range: "stiffness[0] = 20000 is outside [0, 10000]", "stiffness[0] is not a number; ...".
///
/// \param prefix  what to put before the field's name, e.g. the group a parameter is in
inline std::string describe(const ConfigError & error, const std::string & prefix = "")
{
  std::ostringstream text;
  text << prefix << error.field;
  if (error.index >= 0) {
    text << "[" << error.index << "]";
  }
  if (std::isnan(error.value)) {  // "-nan", as streams write it, is no word
    text << " is not a number; it must be within [" << error.low << ", " << error.high << "]";
  } else {
    text << " = " << error.value << " is outside [" << error.low << ", " << error.high << "]";
  }
  return text.str();
}

}  // namespace serl_impedance_controller

#endif  // SERL_IMPEDANCE_CONTROLLER__DESCRIBE_HPP_
