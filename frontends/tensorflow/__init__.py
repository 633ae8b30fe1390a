"""TensorFlow: frozen GraphDefs and SavedModels."""
