// steadyhand.crisp_control._core: the controller core for Python (tests, tools, the numpy oracle).
#include "bindings.hpp"
#include "crisp_control/reference.hpp"

NB_MODULE(_core, m) {
  using namespace crisp_control::python;
  m.doc() = "Steadyhand's controller core: the same functions run in ros2_control, in the twin and here.";
  m.attr("MAX_JOINTS") = crisp_control::kMaxJoints;
  m.attr("MAX_CHUNK") = crisp_control::PoseChunk::kCapacity;
  bind_model(m);
  bind_params(m);
  bind_references(m);
  bind_controllers(m);
}
