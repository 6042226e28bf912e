"""The checker: is a hand-written derivative of any JAX function right, where is it wrong, or is it rounding?

It knows nothing of softmax: it imports the ground layer and itself, and the evidence and the surfaces build on it.
"""
