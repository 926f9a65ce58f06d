"""`hummingface convert`: recordings to piano."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hf_model.cli.loading import ModelError, load_models
from hf_model.cli.messages import FAILED, OK, WRONG_USAGE, describe_source, print_json, print_message, print_report
from hf_model.cli.options.arrangement import arrangement_from
from hf_model.cli.options.outputs import outputs_from
from hf_model.cli.options.songs import part_from
from hf_model.cli.options.sound import performance_from
from hf_model.cli.progress import ProgressBars

if TYPE_CHECKING:
    from hf_model.cli.report import Report


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    from hf_model.cli.batch import convert_jobs
    from hf_model.cli.jobs import Options, find_inputs, plan
    from hf_model.config import ConfigError
    from hf_model.music.arrangement import Arrangement

    try:
        arrangement = arrangement_from(arguments)
        start, end = part_from(arguments)
        kinds = outputs_from(arguments)
    except (ConfigError, ValueError) as error:
        print_message(str(error))
        return WRONG_USAGE
    options = Options(
        out_dir=arguments.out_dir,
        kinds=kinds,
        source=arguments.source,
        start=start,
        end=end,
        overwrite=arguments.overwrite,
        arrangement=arrangement,
        performance=performance_from(arguments),
        tuning=arguments.tuning / 100 if "tuning" in arguments else None,
        tempo_kind=arguments.tempo_map,
    )
    jobs = plan(find_inputs(arguments.inputs), options)
    reports: list[Report] = []
    problem = None
    try:
        models = load_models(arguments) if any(job.is_ready for job in jobs) else None
        with ProgressBars(len(jobs), hidden=arguments.quiet) as bars:
            for report in convert_jobs(jobs, options, models, bars.step):
                reports.append(report)
                is_decided = arguments.source == "auto"
                is_separated = getattr(arguments, "separator", None) != "none"
                source = describe_source(report, is_decided=is_decided, is_separated=is_separated)
                print_report(report, quiet=arguments.quiet, on_stdout=not arguments.json, source=source)
                if arrangement != Arrangement() and not (arguments.quiet or arguments.json or report.error):
                    print("  " + "; ".join(report.remarks), flush=True)
                bars.finish_file(report.input)
    except ModelError as error:
        problem = str(error)
        print_message(problem)
    finally:
        if arguments.json:
            print_json(reports, problem)
    return FAILED if problem or any(report.error for report in reports) else OK
