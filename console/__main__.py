"""`python -m console`: the same as the command `managedapps`."""

import sys

from console.main import main

if __name__ == "__main__":
    sys.exit(main())
