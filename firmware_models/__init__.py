"""The models shipped with motionsig: one folder each, with its card. Packaged as motionsig.firmware_models."""
