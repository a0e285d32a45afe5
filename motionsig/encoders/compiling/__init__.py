"""From a model to one that runs on an Edge TPU: what the compiler takes of it, compiling it.

Off the device; encoders that run do not import it.
"""
