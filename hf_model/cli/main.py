"""The command line: parse, call, and give the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hf_model.cli.messages import FAILED, INTERRUPTED, print_message
from hf_model.cli.options.arrangement import with_ensemble
from hf_model.cli.options.ignored import ignored_options
from hf_model.cli.parser import build_parser
from hf_model.cli.streams import BROKEN_PIPE, StandardOutputError, guarded_output, sigterm_as_interrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with sigterm_as_interrupt(), guarded_output():
            given = with_ensemble(sys.argv[1:] if arguments is None else arguments)
            options = build_parser().parse_args(given)
            ignored = ignored_options(options, given)
            if ignored and not getattr(options, "quiet", False):
                print_message("; ".join(ignored), kind="warning")
            code: int = options.run(options)
    except (KeyboardInterrupt, ImportError) as error:
        # a library that was interrupted while it was loaded cannot be imported
        if isinstance(error, ImportError) and not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        print_message("interrupted: no incomplete files are left")
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except StandardOutputError as error:
        print_message(str(error))
        return FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
