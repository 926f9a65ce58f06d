"""`hummingface app`: the web page."""

from __future__ import annotations

import argparse
import functools

from hf_model.cli.messages import FAILED, OK, WRONG_USAGE, print_message


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    from hf_model.app.server import TokenError, serve

    try:
        serve(
            arguments.host,
            arguments.port,
            part_seconds=arguments.max_seconds,
            model=arguments.model,
            token=arguments.token,
            announce=lambda address: print(f"HummingFace is at {address}  (Ctrl-C to stop)", flush=True),
            warn=functools.partial(print_message, kind="warning"),
        )
    except KeyboardInterrupt:
        return OK  # the normal end of a server
    except ModuleNotFoundError as error:
        if error.name not in {"h11", "starlette", "uvicorn"}:
            raise
        print_message(f"{error.name} is not installed: pip install 'hummingface[app]'")
        return FAILED
    except OSError as error:
        print_message(f"cannot listen at {arguments.host}:{arguments.port}: {error.strerror or error}")
        return FAILED
    except TokenError as error:
        print_message(str(error))
        return WRONG_USAGE
    return OK
