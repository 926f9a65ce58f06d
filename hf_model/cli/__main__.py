"""`python -m hf_model.cli`: the command line."""

import sys

from hf_model.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
