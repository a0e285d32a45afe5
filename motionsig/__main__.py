"""`python -m motionsig`, for where the command is not on the path."""

import sys

from motionsig.cli.entry import main

sys.exit(main())
