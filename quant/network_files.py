"""Names of the files that hold a canonical network; to be had without TensorFlow."""

MODEL_FILE, FORMAT_FILE = "model.h5", "input_format.json"
