# Everything a bare checkout needs: `make demo` and `make test` set themselves up in .venv first.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Candidates are run, not only looked up: pyenv's shims exist for versions that are not active. $$PYTHON stands alone.
PYENV := $${PYENV_ROOT:-$$HOME/.pyenv}/versions
FIND_PYTHON = for python in $${PYTHON:-python3.12 $(PYENV)/3.12*/bin/python python3 $(PYENV)/3.1[3-9]*/bin/python}; do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then echo "$$python"; break; fi; done
NO_PYTHON = steadyhand: error: no Python 3.12 or newer$${PYTHON:+ in PYTHON=$$PYTHON}; install one (pyenv install 3.12) \
	or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12
# A sourced ROS distribution brings its own rclpy and messages.
EXTRAS := ray,stl,pointcloud,view,$(if $(ROS_DISTRO),dev,ros,dev)
CPP_SOURCES := CMakeLists.txt $(shell find crisp_control sim bench/native -name '*.[ch]pp' -o -name CMakeLists.txt)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint doctor bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

install: $(VENV)/.built ## create .venv, install the pinned packages, build the C++ modules

demo: install ## the whole loop on the twin, with a report in outputs/demo
	$(BIN)/steadyhand demo --output outputs/demo

test: install ## C++ and Python tests
	$(BIN)/python -m pytest -m "not slow"

test-all: install ## also the slow ones: learning, and installing in four ways
	$(BIN)/python -m pytest

lint: install ## ruff, clang-format, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	find crisp_control sim test bench -name '*.[ch]pp' -exec $(BIN)/clang-format --dry-run --Werror {} +
	@rm -rf build/typing && mkdir -p build/typing/steadyhand
	@ln -sfn $(CURDIR)/{crisp_control,policies,teleop,data_collection,sim,bench,steadyhand/*.py} build/typing/steadyhand
	$(BIN)/mypy

doctor: ## check what only the system can give, name the packages to install
	@python=$$($(FIND_PYTHON)); "$${python:-python3}" steadyhand/doctor.py $(ARGS)

bench: install ## measure the twin and the controllers
	$(BIN)/steadyhand bench twin --json outputs/bench/twin.json
	$(BIN)/steadyhand bench control --json outputs/bench/control.json

clean: ## remove what was built and installed; outputs stay
	rm -rf $(VENV) build install log dist *.egg-info crisp_control/*.so sim/*.so bench/*.so

$(BIN)/python:
	@python=$$($(FIND_PYTHON)); [ -n "$$python" ] || { echo "$(NO_PYTHON)" >&2; exit 1; }; \
	"$$python" steadyhand/doctor.py --quiet && echo "$$("$$python" --version) makes $(VENV)" && "$$python" -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt setup.py package.xml $(wildcard plugins/*/*.*) | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt pip $$($(BIN)/python -c \
	  'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])')
	$(BIN)/python -m pip install -c constraints.txt --no-build-isolation -e ".[$(EXTRAS)]"
	$(BIN)/python -m pip install --no-deps --no-build-isolation $(wildcard plugins/lerobot_*)
	@touch $@

$(VENV)/.built: $(VENV)/.installed $(CPP_SOURCES)
	$(BIN)/python setup.py -q build_ext --inplace
	@touch $@
