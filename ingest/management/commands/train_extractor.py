import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.extraction.weights import STORED, Weights, load_weights, save_weights
from ingest.management.labelled import add_label_arguments, labelled_papers


class Command(BaseCommand):
    help = (
        "Train the weights behind kind, families, modality, stage and training-free from labelled records (JSON lines in the "
        "schema of manage.py export_labels), and print how well they do on papers that they were not fitted to. Touches no "
        "database."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_label_arguments(parser)
        parser.add_argument("--folds", type=int, default=8, help="parts for judging (default 8)")
        parser.add_argument(
            "--hold-out",
            type=float,
            metavar="SHARE",
            help="judge on this share of the real papers, by weights and thresholds from the others; writes nothing",
        )
        parser.add_argument(
            "--beside",
            metavar="FOLDER",
            help="weights of another training, from papers whose texts may not be here: what is kept is halfway between both",
        )
        parser.add_argument("--out", default=str(STORED), metavar="FOLDER", help="where the weights go")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        # Training needs libraries that reading does not.
        from ingest.learning.examples import digest_of
        from ingest.learning.fit import mean_of
        from ingest.learning.train import judge_share, train

        folds, share = options["folds"], options["hold_out"]
        if not 2 <= folds <= 50:
            raise CommandError(f"--folds {folds}: expected 2 to 50")
        if share is not None and not 0 < share <= 0.8:
            raise CommandError(f"--hold-out {share}: expected a share of the papers, above 0 and at most 0.8")
        if share is not None and options["beside"]:
            raise CommandError("--beside: nothing is kept with --hold-out; leave one of them out")
        quiet = options["json"]
        examples, missing = labelled_papers(options)
        told: dict[str, Any] = {"papers": len(examples), "without_abstract": missing, "sha256": digest_of(examples)}

        def say(line: str) -> None:
            if not quiet:
                self.stderr.write(line)

        try:
            if share is not None:
                self._tell({**told, "held_out": share, "figures": judge_share(examples, share, folds, say)}, quiet)
                return
            beside = self._beside(options)
            trained = train(examples, folds, say)
            weights = mean_of(trained.weights, beside) if beside else trained.weights
        except ValueError as fault:
            raise CommandError(str(fault)) from None
        if not options["dry_run"]:
            try:
                save_weights(weights, Path(options["out"]))
            except OSError as fault:
                raise CommandError(f"--out {options['out']}: {fault.strerror}") from None
        self._tell({**told, "signals": trained.signals, "figures": trained.figures}, quiet)

    def _beside(self, options: dict[str, Any]) -> Weights | None:
        folder = options["beside"]
        try:
            return load_weights(Path(folder)) if folder else None
        except (OSError, ValueError, KeyError) as fault:
            raise CommandError(f"--beside {folder}: holds no weights: {fault}") from None

    def _tell(self, told: dict[str, Any], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(told))
            return
        for name, value in told.items():
            shown = ", ".join(f"{k} {v:.3f}" for k, v in value.items()) if isinstance(value, dict) else value
            self.stdout.write(f"{name}: {shown}")
