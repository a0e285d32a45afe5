"""Motion-sensor data to int8 motion signatures."""
