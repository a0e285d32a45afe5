"""Which motionsig this is. setup.cfg takes it from here, and scripts/build_deb adds the date and the commit.

To read it from the metadata of the installed package takes importlib.metadata, which would stay in the memory of every
service.
"""

VERSION = "0.1.0"
