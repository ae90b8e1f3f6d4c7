# SPDX-License-Identifier: Apache-2.0
# The ros2_control plugins: the controller and a modelled arm to run it on. SERL_BUILD_PLUGIN: AUTO builds them where all they
# need is found, ON fails where it is not, OFF leaves them out.
set(SERL_BUILD_PLUGIN AUTO CACHE STRING "Build the ros2_control plugins: AUTO, ON or OFF")
set_property(CACHE SERL_BUILD_PLUGIN PROPERTY STRINGS AUTO ON OFF)

set(PLUGIN_PACKAGES
  controller_interface hardware_interface generate_parameter_library realtime_tools pluginlib pinocchio
  rclcpp rclcpp_lifecycle diagnostic_msgs geometry_msgs std_msgs std_srvs hil_serl_msgs)

set(pinocchio_WANTED 3.0...<4)          # version 4 has no pinocchio/multibody/model.hpp
set(COAL_DISABLE_HPP_FCL_WARNINGS ON)   # pinocchio's own includes of a renamed library
set(missing "")
if(SERL_BUILD_PLUGIN STREQUAL "AUTO")
  foreach(package IN LISTS PLUGIN_PACKAGES)
    find_package(${package} ${${package}_WANTED} QUIET)
    if(NOT ${package}_FOUND)
      set(missing ${package})  # the first is enough to know, and the others cost time to look for
      break()
    endif()
  endforeach()
elseif(SERL_BUILD_PLUGIN)
  foreach(package IN LISTS PLUGIN_PACKAGES)
    find_package(${package} ${${package}_WANTED} REQUIRED)
  endforeach()
else()
  set(missing "SERL_BUILD_PLUGIN")
endif()

if(missing STREQUAL "SERL_BUILD_PLUGIN")
  message(STATUS "ros2_control plugins: left out (SERL_BUILD_PLUGIN is ${SERL_BUILD_PLUGIN})")
  return()
elseif(missing)
  message(STATUS "ros2_control plugins: left out, because ${missing} ${${missing}_WANTED} is not installed")
  return()
endif()
message(STATUS "ros2_control plugins: built")

# It copies the validators when CMake runs, not when they change.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS src/plugin/parameter_ranges.hpp)
generate_parameter_library(cartesian_controller_parameters
  src/plugin/cartesian_controller_parameters.yaml
  src/plugin/parameter_ranges.hpp)
target_link_libraries(cartesian_controller_parameters INTERFACE law)

# Kinematics and dynamics: pinocchio, no ROS. Its headers are heavy, so nothing else includes them.
add_library(arm_model STATIC
  src/plugin/robot_model.cpp
  src/plugin/urdf_joints.cpp)
set_target_properties(arm_model PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(arm_model PUBLIC src/plugin)
target_link_libraries(arm_model PUBLIC law PRIVATE pinocchio::pinocchio)
target_compile_options(arm_model PRIVATE ${LAW_WARNINGS})
target_compile_definitions(arm_model PRIVATE COAL_DISABLE_HPP_FCL_WARNINGS)

# The law for several numbers of joints, with its inputs from other threads: no ROS either.
add_library(arm_control STATIC src/plugin/arm_control.cpp)
set_target_properties(arm_control PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(arm_control PUBLIC src/plugin)
target_link_libraries(arm_control PUBLIC law)
target_compile_options(arm_control PRIVATE ${LAW_WARNINGS})

add_library(cartesian_controller SHARED
  src/plugin/cartesian_controller.cpp
  src/plugin/external_wrench.cpp
  src/plugin/health_reporter.cpp
  src/plugin/settings.cpp
  src/plugin/state_publisher.cpp
  src/plugin/target_inputs.cpp)
target_include_directories(cartesian_controller PRIVATE src/plugin)
target_link_libraries(cartesian_controller PUBLIC
  arm_control
  arm_model
  cartesian_controller_parameters
  controller_interface::controller_interface
  pluginlib::pluginlib
  rclcpp::rclcpp
  rclcpp_lifecycle::rclcpp_lifecycle
  realtime_tools::realtime_tools
  ${diagnostic_msgs_TARGETS}
  ${geometry_msgs_TARGETS}
  ${hil_serl_msgs_TARGETS}
  ${std_msgs_TARGETS}
  ${std_srvs_TARGETS})
target_compile_options(cartesian_controller PRIVATE ${LAW_WARNINGS})
# All packages' libraries may lie in one folder.
set_target_properties(cartesian_controller PROPERTIES OUTPUT_NAME serl_cartesian_controller)
pluginlib_export_plugin_description_file(controller_interface cartesian_controller_plugin.xml)

add_library(rigid_body_arm STATIC src/mock/rigid_body_arm.cpp)
set_target_properties(rigid_body_arm PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(rigid_body_arm PUBLIC src/mock)
target_link_libraries(rigid_body_arm PRIVATE arm_model pinocchio::pinocchio PUBLIC Eigen3::Eigen)
target_compile_options(rigid_body_arm PRIVATE ${LAW_WARNINGS})

add_library(mock_arm SHARED src/mock/mock_arm.cpp)
target_include_directories(mock_arm PRIVATE src/mock)
target_link_libraries(mock_arm PRIVATE rigid_body_arm hardware_interface::hardware_interface pluginlib::pluginlib)
target_compile_options(mock_arm PRIVATE ${LAW_WARNINGS})
set_target_properties(mock_arm PROPERTIES OUTPUT_NAME serl_mock_arm)
pluginlib_export_plugin_description_file(hardware_interface mock_arm_plugin.xml)

install(TARGETS cartesian_controller mock_arm LIBRARY DESTINATION lib)

if(BUILD_TESTING)
  find_package(ament_cmake_gtest REQUIRED)
  find_package(ament_cmake_pytest REQUIRED)
  set(TEST_DEFINITIONS TEST_FOLDER="${CMAKE_CURRENT_SOURCE_DIR}/test/plugin")
  function(add_plugin_gtest name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
    ament_add_gtest(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE test test/plugin)
    target_compile_definitions(${name} PRIVATE ${TEST_DEFINITIONS})
    target_compile_options(${name} PRIVATE ${LAW_WARNINGS} -O1)
    target_link_libraries(${name} ${arg_LIBRARIES})
  endfunction()

  add_plugin_gtest(test_robot_model
    SOURCES test/plugin/test_robot_model.cpp test/plugin/test_momentum_observer.cpp LIBRARIES arm_model)
  add_plugin_gtest(test_arm_control
    SOURCES test/plugin/test_arm_control.cpp LIBRARIES arm_control)
  add_plugin_gtest(test_rigid_body_arm
    SOURCES test/mock/test_rigid_body_arm.cpp LIBRARIES rigid_body_arm arm_model)
  # The controller's functions are called as controller_manager calls them.
  add_plugin_gtest(test_cartesian_controller
    SOURCES test/plugin/test_lifecycle.cpp test/plugin/test_control.cpp test/plugin/test_two_senders.cpp
      test/plugin/test_plugin_trajectory.cpp
    LIBRARIES cartesian_controller)
  # It writes down what the next test repeats with the Python binding.
  set(TRAJECTORY_FILE ${CMAKE_CURRENT_BINARY_DIR}/plugin_trajectory.csv)
  target_compile_definitions(test_cartesian_controller PRIVATE TRAJECTORY_FILE="${TRAJECTORY_FILE}")
  ament_add_pytest_test(test_plugin_trajectory test/plugin/test_plugin_trajectory.py
    ENV SERL_PLUGIN_TRAJECTORY=${TRAJECTORY_FILE})
  set_tests_properties(test_plugin_trajectory PROPERTIES DEPENDS test_cartesian_controller)
  ament_add_pytest_test(test_model_reference test/plugin/test_model_reference.py)
  ament_add_pytest_test(test_under_controller_manager test/mock/test_under_controller_manager.py TIMEOUT 300)
  ament_add_pytest_test(test_guards_under_controller_manager test/mock/test_guards_under_controller_manager.py
    TIMEOUT 600)
  ament_add_pytest_test(test_mock_robot test/mock/test_mock_robot.py TIMEOUT 300)
  ament_add_pytest_test(test_on_mujoco test/mock/test_on_mujoco.py TIMEOUT 600)
endif()
