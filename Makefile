# The first word after `make` is a target below; a bare `make` lists them. Set-up is done on the way: each target
# makes the virtual environment it needs (.venv), once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
# onnx2tf pins packages of its own, TensorFlow among them. From Python 3.12 on pip takes its version 2, which writes
# TFLite without TensorFlow by default: ONNX2TF_PYTHON=python3.12 compares with that.
ONNX2TF := .venv-onnx2tf
ONNX2TF_PYTHON ?= $(PYTHON)
TFLITE_NETWORKS := $(addprefix build/zoo/,$(addsuffix .torchscript.onnx,mobilenet_v2 resnet50 efficientnet_b0 \
	densenet121 convnext_tiny vit_b_16))

CPP_NETWORKS := mobilenet_v2 mobilenet_v3_large efficientnet_b0 mnasnet1_0 squeezenet1_1 resnet18 resnet50 googlenet \
	vgg16 shufflenet_v2_x1_0 densenet121 regnet_y_400mf convnext_tiny vit_b_16

# onnxruntime reports what it runs to its makers, unless asked not to.
export ORT_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs bench bench-cpp cpp-builds bench-keras zoo clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.verify: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[verify]' scikit-learn
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,train]'
	touch $@

demo: $(VENV)/.verify ## convert a digit classifier to ncnn, verify it, run it on test images
	$(BIN)/python examples/digits/demo.py

test: $(VENV)/.dev ## lint, then run all tests with coverage
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n 2 --cov --cov-report=json:build/coverage.json --cov-report=term:skip-covered
	$(BIN)/python tests/coverage_floor.py build/coverage.json

lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.dev ## regenerate docs/support.md
	$(BIN)/python -c "from mconv.support import as_markdown; print(as_markdown(), end='')" > docs/support.md.new
	mv docs/support.md.new docs/support.md

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)' 'torchvision==0.28.0' --no-deps
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pnnx onnxscript scikit-learn pillow sympy filelock jinja2 fsspec
	touch $@

$(ONNX2TF)/.done:
	$(ONNX2TF_PYTHON) -m venv $(ONNX2TF)
	$(ONNX2TF)/bin/python -m pip install --quiet --disable-pip-version-check onnx2tf
	touch $@

zoo: $(VENV)/.bench ## export torchvision's networks with both exporters, convert and verify each
	$(BIN)/python benchmarks/zoo.py --out build/zoo
	$(BIN)/python benchmarks/networks.py build/zoo/*.onnx

bench: $(VENV)/.bench $(ONNX2TF)/.done ## conversion time, memory and latency against pnnx, onnxsim and onnx2tf
	$(BIN)/python benchmarks/zoo.py --out build/zoo
	@status=0; \
	$(BIN)/python benchmarks/conversion.py --zoo build/zoo || status=1; \
	$(BIN)/python benchmarks/networks.py build/zoo/*.onnx || status=1; \
	$(BIN)/python benchmarks/latency.py --zoo build/zoo || status=1; \
	$(BIN)/python benchmarks/tflite_networks.py $(TFLITE_NETWORKS) --onnx2tf $(ONNX2TF)/bin/onnx2tf --gate || status=1; \
	exit $$status

$(VENV)/.bench-cpp: $(VENV)/.bench
	$(BIN)/python -m pip install --quiet --disable-pip-version-check openvino MNN
	touch $@

bench-cpp: $(VENV)/.bench-cpp ## the generated C++ against onnxruntime, OpenVINO, LiteRT, ncnn and MNN
	$(BIN)/python benchmarks/zoo.py --out build/zoo --only $(CPP_NETWORKS) --exporters torchscript
	@status=0; \
	for options in "" "--threads 2" "--isa avx2"; do \
	$(BIN)/python benchmarks/cpp_networks.py $(CPP_NETWORKS:%=build/zoo/%.torchscript.onnx) $$options --gate || status=1; \
	done; exit $$status

cpp-builds: $(VENV)/.bench ## every network as C++: g++ and clang++, self-test, error on each instruction set
	$(BIN)/python benchmarks/zoo.py --out build/zoo
	$(BIN)/python benchmarks/cpp_builds.py examples/digits/digits.onnx build/zoo/*.torchscript.onnx

$(VENV)/.bench-keras: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check tf2onnx
	touch $@

bench-keras: $(VENV)/.bench-keras ## Keras's networks against TFLiteConverter and tf2onnx
	$(BIN)/python benchmarks/keras_zoo.py --out build/keras
	$(BIN)/python benchmarks/keras_networks.py --zoo build/keras --work build/keras-work

clean: ## remove what the other targets made
	rm -rf $(VENV) $(ONNX2TF) build .pytest_cache .mypy_cache .ruff_cache
