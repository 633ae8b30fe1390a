"""The C++ target.

- Networks against onnxruntime, many compiled into one library (``batch.py``, ``models.py``): ``test_elementwise.py``,
  ``test_general.py``, ``test_movement.py``; ONNX's node tests are in ``tests/onnx_node_tests_cpp.py``.
- Kernels by themselves against numpy (``kernels.py``, ``kernel_driver.cpp``, ``reference.py``), on every
  instruction set and under emulation: ``test_kernels.py``, ``test_kernels_more.py``, ``test_aarch64.py`` (with
  ``spills.py``).
- What is decided before code is written: ``test_view.py``, ``test_memory.py``, ``test_stream.py``,
  ``test_stream_layers.py``, ``test_choose.py``, ``test_samples.py``.
- What is written (``folders.py``): ``test_readable.py``, ``test_project.py``, ``test_interface.py``,
  ``test_sanitized.py``, ``test_protection.py``, ``test_sealed.py``.
"""
