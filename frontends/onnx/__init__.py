"""The ONNX reader: opsets 7 to 28, model-local functions, external data, and onnxruntime's `com.microsoft` operators.

In the order data flows: `model` cuts the weights out of the file's bytes, parses and checks the rest, `tensors`
views weights as arrays, `translate` walks graphs and functions, `handlers` translate single operators.
"""
