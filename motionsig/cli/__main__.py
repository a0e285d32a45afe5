"""`python -m motionsig.cli`, for where the command is not on the path."""

import sys

from motionsig.cli.entry import main

sys.exit(main())
