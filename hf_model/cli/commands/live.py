"""`hummingface live`: notes while one sings, on the screen and at a MIDI port; a recording of it at the end."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model.audio.reader import AudioError
from hf_model.cli.commands.live_display import Display, UntilClosed, choose_display
from hf_model.cli.jobs import Job, Options, check_older, convert_file, name_outputs
from hf_model.cli.loading import ModelError, load_models
from hf_model.cli.messages import FAILED, OK, print_message
from hf_model.cli.report import Report
from hf_model.export.all_or_none import OutputError
from hf_model.live.comparison import Comparison, compare
from hf_model.live.inputs import Input, InputError, list_inputs, open_input
from hf_model.live.known_notes import KnownNotes
from hf_model.live.midi_output import MidiError, MidiOutput, list_ports
from hf_model.live.recorder import Recorder
from hf_model.live.transcription import LiveTranscription
from hf_model.transcriber.transcriber import Transcriber

if TYPE_CHECKING:
    from hf_model.inference import Models

MAX_SECONDS = 7200.0
"""A recording ends after this time: longer ones cannot be converted."""


@dataclass(frozen=True)
class LiveOptions:
    """What is listened to, and what is done with it.

    Attributes
    ----------
    input : str
        A file, or the number or a part of the name of a microphone; "" for the default one.
    fast : bool
        A file is read as fast as it can be transcribed.
    midi_out : str
        The MIDI port, "virtual", or "" for none.
    bend : bool
        Notes begin at the pitch of the voice.
    transpose : int
        Semitones, of the MIDI port.
    record : path, optional
        The recording, without or with the suffix .wav.
    overwrite : bool
    seconds : float
        The recording ends after this time.
    """

    input: str = ""
    fast: bool = False
    midi_out: str = ""
    bend: bool = False
    transpose: int = 0
    record: Path | None = None
    overwrite: bool = False
    seconds: float = MAX_SECONDS

    @property
    def outputs(self) -> dict[str, Path]:
        """What is written at the end, by kind; "voice" is the recording."""
        if self.record is None:
            return {}
        is_named = self.record.suffix.lower() == ".wav"
        voice = self.record if is_named else self.record.with_name(f"{self.record.name}.wav")
        return {"voice": voice, **name_outputs(voice, Options())}


@dataclass(frozen=True)
class LiveResult:
    """What was sung.

    Attributes
    ----------
    report : Report
        With the outputs, if it was recorded.
    comparison : Comparison
        The provisional notes beside the final ones.
    n_final : int
    seconds, lost_seconds : float
    """

    report: Report
    comparison: Comparison
    n_final: int
    seconds: float
    lost_seconds: float

    @property
    def warnings(self) -> list[str]:
        """What the singer should know."""
        lost = self.lost_seconds
        late = [f"{lost:.1f} s of sound were lost: this computer was too busy"] if lost >= 0.05 else []
        return [*late, *self.report.warnings]


def run_live(options: LiveOptions, models: Models, display: Display) -> LiveResult:
    """Transcribe until the sound ends, or Ctrl-C.

    Raises
    ------
    InputError, MidiError, OutputError, AudioError
        If the microphone, the port, or the file cannot be opened or written. A recording that was begun is kept.
    """
    transcriber = models.transcriber
    if not isinstance(transcriber, Transcriber):
        msg = f"live needs a Transcriber; a {type(transcriber).__name__} only takes whole recordings"
        raise InputError(msg)
    check_older(options.outputs, overwrite=options.overwrite)
    with ExitStack() as stack:
        source = stack.enter_context(open_input(options.input, fast=options.fast))
        midi = None
        if options.midi_out:
            midi = stack.enter_context(MidiOutput(options.midi_out, bend=options.bend, transpose=options.transpose))
        live = LiveTranscription(transcriber, source.sample_rate)
        stack.callback(live.close)
        voice = options.outputs.get("voice")
        recorder = stack.enter_context(Recorder(voice, source.sample_rate, overwrite=options.overwrite))
        display.begin(source.name, midi.name if midi else "")
        stack.callback(display.end)
        _listen(source, live, recorder, midi, display, options.seconds)
        for event in live.finish():
            display.show(event)
    report = Report(str(options.outputs.get("voice", source.name)), duration=round(live.seconds, 6))
    if options.record is not None:
        _convert(options, models, transcriber, live, report)
    comparison = compare(live.provisional, live.final)
    return LiveResult(report, comparison, len(live.final), live.seconds, source.lost_seconds)


def _listen(
    source: Input,
    live: LiveTranscription,
    recorder: Recorder,
    midi: MidiOutput | None,
    display: Display,
    seconds: float,
) -> None:
    """Take the sound block by block, until it ends, or Ctrl-C."""
    stopped = False
    with interruption() as is_interrupted:
        for block in source.blocks():
            sound = recorder.write(block)
            for event in live.push(sound):
                if midi:
                    midi.send(event)
                display.show(event)
            display.advance(live.seconds, sound)
            if live.seconds >= seconds:
                break
            if is_interrupted() and not stopped:
                stopped = True
                source.stop()  # what has arrived is still taken
    if midi:
        midi.silence()


def _convert(
    options: LiveOptions, models: Models, transcriber: Transcriber, live: LiveTranscription, report: Report
) -> None:
    """Write the piano and the MIDI file of the recording, without transcribing it again."""
    outputs = dict(options.outputs)
    voice = outputs.pop("voice")
    known = models.with_transcriber(KnownNotes(transcriber, live.digest, live.final))
    job = Job(voice, outputs)
    convert_file(job, Options(overwrite=options.overwrite), known, report, lambda *_: None)
    report.outputs = {"voice": str(voice), **report.outputs}
    if report.source and report.source["kind"] == "song":
        report.warnings.append(
            f"a band plays: the voice was separated for {outputs['midi'].name}, whose notes differ from those shown"
        )


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Take Ctrl-C and SIGTERM as the end of the recording within the context; a second one interrupts as usual.

    An exception in the middle of a calculation would leave it incomplete, so the caller asks instead.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag.is_set
        return
    numbers = [signal.SIGINT, signal.SIGTERM]

    def stop(_number: int, _frame: object) -> None:
        flag.set()
        restore()

    def restore() -> None:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)

    previous = [signal.signal(number, stop) for number in numbers]
    try:
        yield flag.is_set
    finally:
        restore()


def describe_devices() -> str:
    """List the microphones and MIDI ports; what is not installed is said in their place."""
    lines = ["microphones (--input):"]
    try:
        lines += [f"  {line}" for line in list_inputs()] or ["  none"]
    except InputError as error:
        lines.append(f"  {error}")
    lines.append("MIDI ports (--midi-out; virtual opens a new one):")
    try:
        lines += [f"  {line}" for line in list_ports()] or ["  none"]
    except MidiError as error:
        lines.append(f"  {error}")
    return "\n".join(lines)


def show_result(result: LiveResult, *, as_json: bool, quiet: bool) -> None:
    """Print what was sung, and the files that were written."""
    found, report = result.comparison, result.report
    files = list(report.outputs.values())
    if as_json:
        counts = {name: len(getattr(found, name)) for name in ("confirmed", "corrected", "withdrawn", "unannounced")}
        lines = [
            json.dumps({"event": "end", "notes": result.n_final, "seconds": result.seconds, **counts, "files": files})
        ]
    else:
        notes = "1 note" if result.n_final == 1 else f"{result.n_final} notes"
        changes = [f"{len(found.corrected)} corrected"] * bool(found.corrected)
        changes += [f"{len(found.withdrawn)} withdrawn"] * bool(found.withdrawn)
        after = f"; of the provisional ones {' and '.join(changes)}" if changes else ""
        lines = [] if quiet else [f"{notes} in {result.seconds:.2f} s{after}"]
        lines += ["  ".join(files)] if files else []
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    try:
        if arguments.list_devices:
            print(describe_devices())
            return OK
        options = LiveOptions(
            arguments.input,
            arguments.fast,
            arguments.midi_out,
            arguments.bend,
            arguments.transpose,
            arguments.record,
            arguments.overwrite,
            arguments.seconds,
        )
        display = UntilClosed(choose_display(plain=arguments.plain, as_json=arguments.json, quiet=arguments.quiet))
        result = run_live(options, load_models(arguments), display)
        for warning in result.warnings:
            print_message(warning, kind="warning")
        show_result(result, as_json=arguments.json, quiet=arguments.quiet)
    except (InputError, MidiError, AudioError, OutputError, ModelError) as error:
        print_message(str(error))
        return FAILED
    except BrokenPipeError:
        raise
    except OSError as error:
        print_message(f"{error.filename or arguments.record}: {error.strerror or error}")
        return FAILED
    return OK
