"""The command: ``mconv MODEL --target T``, ``mconv inspect``, ``ops``, ``verify``, ``attack``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

# numpy starts a thread a core as it is imported; the command multiplies no matrices that would pay for them
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from . import __version__
from .faults import reported
from .ir.errors import CheckError, MconvError, Problem, UsageError

if TYPE_CHECKING:
    from .backends.base import Writing
    from .frontends import Reading
    from .ir.types import Shape

SCREEN = 36
"""Lines of problems that are printed before the rest is only counted: an error fits on one screen."""


class _ConvertByDefault(click.Group):
    """``mconv MODEL ...`` is ``mconv convert MODEL ...``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {"--help", "-h", "--version"}
        if args and args[0] not in self.commands and args[0] not in own:
            args = ["convert", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ConvertByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mconv")
def cli() -> None:
    """Convert neural networks between formats, and prove that the result is right.

    \b
    mconv model.onnx --target ncnn           write model.param and model.bin, verified
    mconv net.param --target onnx -o out/    the other way
    mconv inspect model.onnx                 what is in a model, and what it costs
    mconv ops --target ncnn                  what a target can express
    mconv verify model.onnx model.param      compare two models on the same inputs
    mconv attack libnet.so --original M      what a file gives away of a model

    A first word that is no command is a model to convert: see 'mconv convert --help' for the options.

    Exit status: 0 done, 1 a check failed, 2 wrong usage or unreadable input, 3 unsupported, 4 numbers differ,
    5 a fault of mconv. Codes (MC...) are explained in docs/errors.md.
    """


def _shape(text: str) -> tuple[str, Shape]:
    name, colon, dims = text.rpartition(":")
    try:
        shape = tuple(int(d) for d in dims.replace("x", ",").split(","))
    except ValueError:
        colon = ""
    if not colon or not name or any(d < 0 for d in shape):
        raise click.BadParameter(f"'{text}' is not NAME:SIZES, as in images:1,3,224,224")
    return name, shape


def _dim(text: str) -> tuple[str, int]:
    name, equals, number = text.rpartition("=")
    if not equals or not name or not number.isdigit() or int(number) < 1:
        raise click.BadParameter(f"'{text}' is not NAME=SIZE, as in batch=1")
    return name, int(number)


def _names(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...]:
    return tuple(name for name in (text or "").split(",") if name)


def _pairs(parse: Callable[[str], tuple[str, Any]]) -> Callable[[click.Context, click.Parameter, Any], dict[str, Any]]:
    return lambda ctx, param, values: dict(parse(v) for v in values)


def _model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--input-shape", "input_shapes", multiple=True, metavar="NAME:SIZES", callback=_pairs(_shape),
                     help="Shape of an input, as in images:1,3,224,224. May be repeated."),
        click.option("--dim", "dims", multiple=True, metavar="NAME=SIZE", callback=_pairs(_dim),
                     help="Size of a symbolic dimension, as in batch=1. May be repeated."),
        click.option("--inputs", metavar="NAME,...", callback=_names, help="TensorFlow: begin at these values."),
        click.option("--outputs", metavar="NAME,...", callback=_names, help="TensorFlow: end at these values."),
        click.option("--signature", metavar="NAME", help="TensorFlow: which signature of a SavedModel."),
        click.option("--weights", type=click.Path(path_type=Path), metavar="FILE",
                     help="Caffe: the weights of the net.  [default: the .caffemodel of its name]"),
        click.option("--random-weights", type=int, metavar="SEED",
                     help="Caffe: random weights, to work on an architecture without any."),
    ):  # fmt: skip
        command = option(command)
    return command


def _writing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--exact", is_flag=True, help="cpp: round less, be slower: no Winograd, Strassen or long sums."),
        click.option("--debug-names", is_flag=True, help="cpp: name operators and tensors in the source."),
        click.option("--protect", type=click.Choice(["none", "basic", "strong"]), default=None,
                     help="cpp: hide nothing; names and structure of the weights; or encrypt the weights.  "
                          "[default: basic]"),
        click.option("--key", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
                     help="cpp: key for --protect strong, 32 bytes or 64 hex digits; without it the code holds one."),
        click.option("--build-seed", metavar="TEXT",
                     help="cpp: what tells this build from others, as a customer's name; for --protect strong."),
    ):  # fmt: skip
        command = option(command)
    return command


def _data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--data", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE.npz",
                     help="Arrays to compare on, by input name (an .npy for a model of one input)."),
        click.option("--seed", default=0, show_default=True, help="Seed of the random inputs used otherwise."),
        click.option("--rtol", type=click.FloatRange(min=0), default=None,
                     help="Largest error allowed, relative to the largest value.  [default: 0.001; fp16: 0.02]"),
    ):  # fmt: skip
        command = option(command)
    return command


@cli.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--target", "-t", required=True, metavar="TARGET", help="Format to write; 'mconv ops' lists them.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Name of the files without suffix, or a folder.  [default: the model's name, here]",
)
@_model_options
@click.option(
    "--simplify", is_flag=True, help="Run onnx-simplifier on the source first (pip install 'mconv[simplify]')."
)
@click.option("--fp16", is_flag=True, help="Store weights as 16-bit floats: half the size.")
@_writing_options
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Insist on comparing source and result, or do not.  [default: compare where the runtimes are there]",
)
@_data_options
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.json",
    help="Write what was done and compared as JSON.",
)
@click.option("--trace-passes", is_flag=True, help="Print every rule applied or refused, with the reason.")
@click.option(
    "--io-layout",
    type=click.Choice(["model", "nhwc"]),
    default="model",
    show_default=True,
    help="Layout of inputs and outputs that are images: the model's, or channels last where the target computes so.",
)
@click.option("--trace-layout", is_flag=True, help="Print the solved layout: who runs how, and what is transposed.")
@click.option("--check-passes", is_flag=True, help="Run the graph before and after each pass and compare (slow).")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def convert(
    model: Path,
    data: Path | None,
    report: Path | None,
    trace_passes: bool,
    trace_layout: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Convert MODEL to another format, compare the two, and write the files.

    The files appear only when the comparison has passed; an error leaves nothing behind.
    """  # fmt: skip
    from . import driver, stages

    reading, writing = _reading(options), _writing(options)
    with _progress(quiet) as progress:
        result = driver.convert(
            model,
            stages.Options(
                **options,
                reading=reading,
                writing=writing,
                data=_read_data(data),
                trace=(lambda event: click.echo(event)) if trace_passes else None,
                trace_layout=(lambda line: click.echo(line)) if trace_layout else None,
                progress=progress,
            ),
        )
    if report is not None:
        _write_report(report, result.to_json())
    if not quiet:
        from .tables import show_result

        show_result(result)


@cli.command()
@click.argument("model", type=click.Path(path_type=Path))
@_model_options
@click.option("--raw", is_flag=True, help="As it is read, before any pass.")
@click.option("--target", "-t", metavar="TARGET", help="As it is fitted to this target; shows the transposes left.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--text", is_flag=True, help="Print the graph in mconv's text form.")
def inspect(model: Path, raw: bool, target: str | None, as_json: bool, text: bool, **options: Any) -> None:
    """Show inputs, operators, parameters, FLOPs and peak activation memory of MODEL."""
    from . import inspection, tables

    graph, reasons = inspection.load(model, raw=raw, target=target, reading=_reading(options))
    if text:
        click.echo(str(graph))
        return
    found = inspection.inspect(graph, reasons)
    if as_json:
        _print_json(found.as_dict())
    else:
        tables.show_inspection(found)


@cli.command()
@click.option("--target", "-t", metavar="TARGET", help="Show one target's support table; without it, the targets.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def ops(target: str | None, as_json: bool) -> None:
    """Show the targets, or which operators a target can express, and in which forms."""
    from . import backends, support, tables

    if target is None:
        known = {name: backends.get(name).description for name in backends.names()}
        if as_json:
            _print_json(known)
        else:
            tables.show("", ("target", "writes"), known.items())
    elif as_json:
        _print_json(support.as_json(target))
    else:
        tables.show_support(target, *support.support_of(target))


@cli.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("candidate", type=click.Path(path_type=Path))
@_model_options
@_data_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def verify(reference: Path, candidate: Path, data: Path | None, as_json: bool, **options: Any) -> None:
    """Run two model files in their own runtimes on the same inputs and compare every output.

    Exit status 4 where they differ.
    """
    from . import api, tables
    from .driver import mismatch

    found = api.verify(reference, candidate, data=_read_data(data), **options)
    if as_json:
        _print_json(found.as_dict())
    else:
        tables.show_verification(found)
    if not found.passed:
        raise mismatch(found)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--original",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="The model it was made from: its names and weights are looked for.",
)
@click.option(
    "--trace",
    "maps",
    type=click.Path(path_type=Path),
    metavar="MAP.json",
    multiple=True,
    help="Is FILE a copy of this build? May be repeated; exit status 0 where one is recognised.",
)
@click.option(
    "--max-score",
    type=click.IntRange(0, 100),
    default=10,
    show_default=True,
    help="Exit status 1 where the score is above.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def attack(file: Path, original: Path | None, maps: tuple[Path, ...], max_score: int, as_json: bool) -> None:
    """Measure what FILE (a library, a program, a model of any format) gives away of a model.

    Strings, symbols, and weights: as in the original, reordered, folded, as 16-bit floats, scaled, transformed.
    The score goes from 0 (nothing found) to 100; docs/protection.md has the formula.
    """
    from . import attack as measured
    from . import tables

    if maps:
        traces = measured.trace(file, maps)
        if as_json:
            _print_json([each.as_dict() | {"recognised": each.recognised} for each in traces])
        else:
            tables.show_traces(traces)
        if not any(each.recognised for each in traces):
            raise CheckError(Problem("MC421", f"{file} is none of these builds"))
        return
    found = measured.attack(file, original)
    if as_json:
        _print_json(found.as_dict())
    else:
        tables.show_attack(found)
    if found.score > max_score:
        hint = "--protect strong, or a higher --max-score"
        raise CheckError(Problem("MC420", f"{file} scores {found.score}, more than {max_score}", hint=hint))


def _print_json(value: object) -> None:
    import json

    click.echo(json.dumps(value, indent=2))


def _reading(options: dict[str, Any]) -> Reading:
    """The options of reading, taken out of all."""
    from .frontends import Reading

    given = {name: options.pop(name) for name in Reading._fields if name in options}
    return Reading(**{name: value for name, value in given.items() if value is not None})


def _writing(options: dict[str, Any]) -> Writing:
    """The options of writing, taken out of all."""
    from .backends.base import Writing

    return Writing(**{name: options.pop(name) for name in Writing._fields})


def _read_data(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    from .feeds import read_npz

    return read_npz(path)


def _write_report(path: Path, text: str) -> None:
    from .backends.files import write_all

    write_all({path: lambda: (text.encode(),)})


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Shows the stage while it lasts; silent in a pipe."""
    if quiet or not sys.stderr.isatty():
        yield lambda stage: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    stages = ["reading", "rewriting", "emitting", "verifying"]
    columns = (TextColumn("{task.description:10}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(stages[0], total=len(stages))
        yield lambda stage: bar.update(task, description=stage, completed=stages.index(stage))


def main() -> NoReturn:
    """The program: run the command, print problems on standard error, exit with the status of design."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        if len(sys.argv) == 1:  # the message is the help text
            error.show()
            sys.exit(2)
        hint = f"{error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
        sys.exit(_complain(UsageError(Problem("MC100", error.format_message(), hint=hint))))
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted; nothing was written", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        sys.exit(_complain(reported(error)))
    sys.exit(0)


def _complain(error: MconvError) -> int:
    """Print the problems, as many as fit on a screen; the exit status."""
    left = SCREEN
    for index, problem in enumerate(error.problems):
        text = f"error {problem}"
        left -= text.count("\n") + 1
        if left < 0 and index:
            click.echo(f"... and {len(error.problems) - index} more", err=True)
            break
        click.echo(text, err=True)
    return error.exit_status


if __name__ == "__main__":
    main()
