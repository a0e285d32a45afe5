"""Formats of logs that are no text, a module each: every one makes Tables of what it holds.

A module's `tables` takes a path and returns the Tables; its READER is an entry point as a stranger's is. `arrays` has
what they share.
"""
