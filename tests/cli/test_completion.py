"""The completion scripts: bash accepts its script, and completes commands, options and files."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from hf_model.cli.commands.completion import SHELLS, completion_script
from hf_model.cli.main import main
from hf_model.cli.parser import build_parser


def completed(words: list[str], folder) -> set[str]:
    """The completions of the last word in bash."""
    path = folder / "completion.bash"
    path.write_text(completion_script(build_parser(), "bash"), encoding="utf-8")
    (folder / "hum.wav").touch()
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        f"source {path}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        "_shtab_hummingface; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=folder, timeout=20)
    return {line.strip() for line in done.stdout.splitlines()}


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hummingface", "con"], "convert"),
        (["hummingface", "convert", "--transp"], "--transpose"),
        (["hummingface", "convert", "--sound", "sam"], "sampled"),
        (["hummingface", "convert", "hu"], "hum.wav"),
    ],
)
def test_bash_completes(words, expected, tmp_path):
    assert expected in completed(words, tmp_path)


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_completes_only_what_matches(tmp_path):
    assert "convert" not in completed(["hummingface", "inf"], tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_has_every_command_and_option(shell, capsys):
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for word in ("convert", "info", "completion", "transpose", "overwrite"):
        assert word in text


def test_an_unknown_shell_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["completion", "elvish"])
    assert stop.value.code == 2
    assert "bash" in capsys.readouterr().err


def test_the_parser_does_not_import_shtab():
    code = "import sys, hf_model.cli.parser; hf_model.cli.parser.build_parser(); print('shtab' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "False\n"
