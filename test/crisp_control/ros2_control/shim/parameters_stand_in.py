"""Prints a header that stands in for what generate_parameter_library makes of a description.

Part of a small stand-in for ros2_control's interfaces, so that the adapter compiles and runs in CI. The same Params and
the same ParamListener as far as the adapter uses them; bounds are not checked here, because the core checks them too.
"""

import sys

import yaml

TYPES = {
    "bool": "bool",
    "double": "double",
    "string": "std::string",
    "double_array": "std::vector<double>",
    "string_array": "std::vector<std::string>",
}
HEADER = """#pragma once
#include "rclcpp.hpp"

namespace {namespace} {{

struct Params {{
{members}
}};

class ParamListener {{
 public:
  explicit ParamListener(const std::shared_ptr<rclcpp_lifecycle::LifecycleNode>& node) {{
{declarations}
    handle_ = node->add_on_set_parameters_callback([this](const auto& proposed) {{ return update(proposed); }});
  }}
  Params get_params() const {{ return params_; }}
  rcl_interfaces::msg::SetParametersResult update(const std::vector<rclcpp::Parameter>& proposed) {{
    for (const auto& parameter : proposed) take(parameter);
    return {{true, ""}};
  }}

 private:
  void take(const rclcpp::Parameter& parameter) {{
    const auto& name = parameter.get_name();
{assignments}
  }}
  Params params_;
  rclcpp::node_interfaces::OnSetParametersCallbackHandle::SharedPtr handle_;
}};

}}  // namespace {namespace}
"""


def literal(value: object) -> str:
    """A default value in C++."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return {float("inf"): "HUGE_VAL", float("-inf"): "-HUGE_VAL"}.get(value, repr(value))
    if isinstance(value, list):
        return "{" + ", ".join(literal(item) for item in value) + "}"
    return f'"{value}"'


def members(tree: dict, indent: str = "  ") -> list[str]:
    """The fields of a struct; a folder of parameters is a struct inside."""
    lines = []
    for name, entry in tree.items():
        if "default_value" in entry:
            lines.append(f"{indent}{TYPES[entry['type']]} {name} = {literal(entry['default_value'])};")
        else:
            lines += [f"{indent}struct {{", *members(entry, indent + "  "), f"{indent}}} {name};"]
    return lines


def leaves(tree: dict, prefix: str = "") -> dict[str, dict]:
    """Every parameter by its full name."""
    found = {}
    for name, entry in tree.items():
        found |= {prefix + name: entry} if "default_value" in entry else leaves(entry, f"{prefix}{name}.")
    return found


def main() -> None:
    """From the description on standard input to the header on standard output."""
    ((namespace, tree),) = yaml.safe_load(sys.stdin).items()
    parameters = leaves(tree)
    declarations = [
        f'    take(node->declare("{name}", params_.{name}, {literal(entry.get("read_only", False))}));'
        for name, entry in parameters.items()
    ]
    assignments = [
        f'    if (name == "{name}") params_.{name} = std::get<{TYPES[entry["type"]]}>(parameter.value());'
        for name, entry in parameters.items()
    ]
    text = {"members": members(tree), "declarations": declarations, "assignments": assignments}
    sys.stdout.write(HEADER.format(namespace=namespace, **{key: "\n".join(lines) for key, lines in text.items()}))


if __name__ == "__main__":
    main()
