import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from papers.encoding.encoders import EncoderError
from papers.files import write_lines
from recommender.advice import Need
from recommender.index import IndexBusy
from recommender.judged_needs import read_lines, stated_need
from recommender.need import DTYPES
from recommender.need_reader import ask
from recommender.services import recommend, refresh_index, this_machine
from recommender.tables import show

GIVEN = (
    "stage", "gpu", "gpus", "model", "batch", "prompt", "new_tokens", "seq", "training", "max_error", "objective", "dtype",
    "memory_gib", "first_token_ms", "token_ms", "step_ms",
)  # fmt: skip
HERE = "here"


class Command(BaseCommand):
    help = "Advice for one need in words, or ranked titles for a file of needs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("words", nargs="?", metavar="NEED", help="what is wanted, in plain words")
        parser.add_argument("--need", metavar="TEXT", help="the same")
        parser.add_argument("--stage", choices=["training", "fine-tuning", "inference", "search", "data"])
        parser.add_argument("--gpu", help="such as 'RTX 4090', or 'here' for the device of this installation's worker")
        parser.add_argument("--gpus", type=int)
        parser.add_argument(
            "--model", help="such as Llama-3-8B, or a shape: 'layers=32 hidden=4096 heads=32 kv_heads=8'"
        )
        parser.add_argument("--batch", type=int)
        parser.add_argument("--prompt", type=int, metavar="TOKENS")
        parser.add_argument("--new-tokens", type=int, metavar="TOKENS")
        parser.add_argument("--seq", type=int, metavar="TOKENS", help="length of a training sequence")
        parser.add_argument("--training", choices=["none", "calibration", "finetune", "pretrain", "any"])
        parser.add_argument("--max-error", type=float, help="largest accepted relative error")
        parser.add_argument("--objective", choices=["latency", "throughput", "memory", "cost"])
        parser.add_argument("--dtype", choices=DTYPES, help="format of the weights before any technique")
        parser.add_argument(
            "--memory-gib", type=float, metavar="GIB", help="memory allowed, less than the devices have"
        )
        parser.add_argument("--first-token-ms", type=float, metavar="MS", help="time allowed to the first token")
        parser.add_argument("--token-ms", type=float, metavar="MS", help="time allowed for each further token")
        parser.add_argument("--step-ms", type=float, metavar="MS", help="time allowed for a training step")
        parser.add_argument("--limit", type=int, default=10, help="answers to show (default: 10)")
        parser.add_argument("--json", action="store_true", help="the whole answer as JSON")
        parser.add_argument(
            "--needs", metavar="FILE", help="JSON lines with id, need, stage, hardware, training_allowed"
        )
        parser.add_argument("--out", metavar="FILE", help="with --needs: where the ranked titles go")

    def handle(self, *args: Any, **options: Any) -> None:
        given_as = [name for name in ("words", "need", "needs") if options[name] is not None]
        if len(given_as) != 1:
            raise CommandError('give one of: "what is wanted", --need TEXT, or --needs FILE --out FILE')
        options["need"] = options["need"] or options["words"]
        try:
            refresh_index()
            if options["needs"] is not None:
                self._answer_file(options)
            else:
                given = {name: options[name] for name in GIVEN if options[name] is not None}
                if given.get("gpu") == HERE:
                    given["gpu"] = self._this_machine()
                answer = recommend(ask(options["need"], **given)).to_json()
                if options["json"]:
                    self.stdout.write(json.dumps(answer, ensure_ascii=False))
                else:
                    show(answer, options["limit"], self.stdout)
        except (EncoderError, IndexBusy, ValueError) as fault:
            raise CommandError(str(fault)) from None

    def _answer_file(self, options: dict[str, Any]) -> None:
        if not options["out"]:
            raise CommandError("--out: name the file that the ranked titles go to")
        lines = []
        for number, need in self._read_needs(Path(options["needs"])):
            try:
                answers = recommend(need[1]).to_json()["answers"]
            except ValueError as fault:
                raise CommandError(f"{options['needs']}, line {number}: {fault}") from None
            lines.append(json.dumps({"id": need[0], "titles": [a["title"] for a in answers]}, ensure_ascii=False))
        target = Path(options["out"])
        try:
            write_lines(target, lines)
        except OSError as fault:
            raise CommandError(f"--out {target}: cannot be written: {fault.strerror}") from None
        self.stdout.write(f"{len(lines)} needs answered.")

    def _read_needs(self, path: Path) -> list[tuple[int, tuple[str, Need]]]:
        try:
            return read_lines(path, lambda row: (str(row["id"]), stated_need(row)))
        except ValueError as fault:
            raise CommandError(f"--needs {fault}") from None

    def _this_machine(self) -> str:
        if name := this_machine():
            return name
        raise CommandError("--gpu here: no worker is running, or its device is not in the catalogue; name the GPU")
