from motionsig.encoders import open_encoder


def test_the_device_says_which_runtime_runs():
    assert open_encoder().device.startswith(("cpu (LiteRT 2", "cpu (tflite-runtime 2"))
