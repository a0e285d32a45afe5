"""The page: a small web server that shows a browser what the control socket gives, to people who were let in.

Nothing here imports numpy: the page is a process of its own, and has to stay small.
"""
