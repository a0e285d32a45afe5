"""The daemon: `pipeline.run` on a live sensor, kept going for years on a machine that nobody visits.

`pipeline.run` asks its source for the next block when the windows that the last one completed have been through
encoder and sink. That moment is a *heartbeat*. What a daemon does beside its work, it does in heartbeats, about once a
second, and only they notify the watchdog. (While there is no sensor, there is a heartbeat between two attempts to open
it.)

Whatever can be tried again is tried again: a sensor that is missing or breaks, a sink that cannot be used, a device
that fails. What can never work, or not from the start, ends the daemon, and its service manager starts it again.
"""
