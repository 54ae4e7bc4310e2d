from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ingest.extraction.meaning import STORED
from ingest.management.labelled import add_label_arguments, labelled_papers
from papers.encoding.encoders import CACHE, EncoderError


class Command(BaseCommand):
    help = (
        "Train how the encoder reads papers for kind, families, modality, stage and training-free, from labelled records, and print "
        "what it adds to words and phrases on a quarter of the real papers that neither was fitted to. Needs torch; two times "
        "about twenty minutes on one core for what ships. Touches no database."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_label_arguments(parser)
        parser.add_argument("--out", default=str(STORED), metavar="FILE", help="where it goes")

    def handle(self, *args: Any, **options: Any) -> None:
        # Training needs libraries that reading does not.
        from ingest.learning.combine import compare, save_reader
        from ingest.learning.fit import provenance_of
        from ingest.learning.meaning import EPOCHS, teach
        from ingest.learning.train import in_order
        from papers.encoding.encoders import packaged_folder

        target = Path(options["out"])
        if not target.parent.is_dir():
            raise CommandError(f"--out {target}: there is no folder {target.parent}")
        papers, missing = labelled_papers(options)

        def progress(done: int, loss: float) -> None:
            self.stderr.write(f"round {done} of {EPOCHS}, loss {loss:.3f}")

        try:
            examples = in_order(papers)
            self.stderr.write(f"{len(examples)} papers, {missing} others without an abstract; first without a quarter")
            found = compare(examples, settings.DATA_DIR / CACHE, progress)
            for name, kept in (("words alone", found.words), ("with the encoder", found.both)):
                told = ", ".join(f"{field} {value:.3f}" for field, value in kept.items())
                self.stdout.write(f"{name:16} {told} on {found.papers} papers left out")
            if options["dry_run"]:
                return
            taught = teach(packaged_folder(), examples, progress)
        except (EncoderError, ValueError, OSError) as fault:
            raise CommandError(str(fault)) from None
        try:
            save_reader(taught, provenance_of(examples, found.both), target)
        except OSError as fault:
            raise CommandError(f"--out {target}: cannot be written: {fault.strerror}") from None
        self.stdout.write(f"How papers are read is in {target.name}.")
