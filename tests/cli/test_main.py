import os
import resource
import subprocess
import sys

import click
import pytest

from burnish.cli.main import COMMANDS, burnish, exit_code, say_error
from burnish.errors import ArtifactError, BurnishError, GateFailed, MissingExtra, RecipeError

HEAVY = ("torch", "numpy", "rich", "hydra", "omegaconf", "mlflow", "wandb", "pyarrow", "openvino", "transformers")


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def type_command(*arguments: str) -> int:
    return exit_code(lambda: burnish.main(list(arguments), prog_name="burnish", standalone_mode=False))


def heavy_after(code: str) -> set[str]:
    done = python(f"import sys\n{code}\nprint('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_importing_the_package_and_its_command_line_loads_nothing_heavy() -> None:
    assert heavy_after("import burnish, burnish.cli, burnish.cli.main, burnish.runtime, burnish.artifacts") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"from burnish.cli.main import burnish\nburnish.main({arguments!r}, standalone_mode=False)"
    assert heavy_after(code) == set()


def test_the_check_for_heavy_packages_sees_them() -> None:
    assert heavy_after("import rich") == {"rich"}


def test_help_comes_at_once() -> None:
    times_s = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert python("from burnish.cli.main import burnish\nburnish.main(['--help'])").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times_s.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(times_s) <= 0.3  # processor time, which other work on the machine does not lengthen


def test_the_overview_names_every_command_and_the_exit_codes() -> None:
    done = subprocess.run([sys.executable, "-m", "burnish", "--help"], capture_output=True, text=True, check=True)
    for name, what in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert what in done.stdout
    assert "3 a gate failed" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded_and_teaches_by_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command(name, "--help") == 0
    shown = capsys.readouterr().out
    assert "xample" in shown
    assert shown.count(f"burnish {name}") >= 2  # once in the usage line


def test_a_slip_in_a_commands_name_is_answered_with_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command("shoow") == 2
    assert "no command 'shoow'" in (shown := capsys.readouterr().err)
    assert "Did you mean show?" in shown


@pytest.mark.parametrize("arguments", [["show", "--nope"], ["run"], ["compare", "one"], ["track", "latest"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command(*arguments) == 2
    assert "Usage: burnish" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BurnishError("x"), 1),
        (ArtifactError("x"), 1),
        (MissingExtra("x"), 1),
        (RecipeError("x"), 2),
        (GateFailed("x"), 3),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_each_error_has_its_exit_code_and_no_traceback(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert exit_code(fail) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == ("error: x\n" if isinstance(error, BurnishError) else "")


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: 1 // 0)


def test_errors_are_coloured_on_a_terminal_unless_it_says_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import pty, sys; pty.spawn([sys.executable, '-c', 'from burnish.cli.main import say_error; say_error(\"x\")'])"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    coloured = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "\x1b[31m" in coloured.stdout
    environment["NO_COLOR"] = "1"
    plain = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert plain.stdout.strip() == "error: x"


def test_an_error_in_a_pipe_has_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    say_error("x")
    assert capsys.readouterr().err == "error: x\n"


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    code = f"{sys.executable} -m burnish assets | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2


def test_a_terminal_without_the_signs_gets_a_substitute() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "burnish", "run", "nowhere/recipe.yaml…"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_burnish(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command("completion", shell) == 0
    script = capsys.readouterr().out
    assert "_BURNISH_COMPLETE" in script
    assert f"{shell}_complete" in script


def complete(words: str, count: int) -> list[str]:
    environment = {
        **os.environ,
        "_BURNISH_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(count),
    }
    command = [sys.executable, "-m", "burnish"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_and_options_are_completed() -> None:
    assert complete("burnish co", 1) == ["compress", "compare", "completion"]
    assert "--lineage" in complete("burnish show --l", 2)
