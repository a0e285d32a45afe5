"""From a model to one that runs on an Edge TPU: what is in a .tflite file, what the compiler takes of it, compiling it.

Off the device. It needs the extra `compile`; encoders that run do not import it.
"""
