"""What a viewer may see of a running service or a store, and what it may ask for: over a Unix socket, as lines of JSON.

The page is a viewer. Samples never pass here: what goes out is made of signatures, events, heads and status.
"""
