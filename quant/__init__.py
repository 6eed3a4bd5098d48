"""What is learned: data, ternary quantizers, training, and the canonical QKeras model."""
