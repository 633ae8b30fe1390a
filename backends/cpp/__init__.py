"""C++ source that computes the network without any runtime."""
