from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from papers.encoding.adapter import Adapter, save
from papers.encoding.arrays import digest_of
from papers.encoding.encoders import CACHE, PACKAGED, EncoderError, open_encoder, packaged_folder, read_by
from recommender import adapter, wording
from recommender.index import Index, IndexBusy
from recommender.judged_needs import JudgedNeed, needs_of
from recommender.metrics import ndcg
from recommender.services import encoder, ensure_index, refresh_index

SHOWN_EVERY = 20


class Command(BaseCommand):
    help = (
        "Train how needs are read, on needs with the papers of the index that answer them, and print what it gains. "
        "40 needs take about a second. The weights of the ranking are to be trained again after it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "needs", nargs="+", metavar="NEEDS", help="JSON lines with id, need and grades: {title: 0 to 3}"
        )
        parser.add_argument("--held-out", metavar="FILE", help="needs that are only measured, never trained on")
        parser.add_argument(
            "--out", metavar="FILE", help=f"where it goes (default: {adapter.STORED.name} beside the code)"
        )
        parser.add_argument("--dry-run", action="store_true", help="print figures, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENCODER != PACKAGED:
            raise CommandError(f"ENCODER is {settings.ENCODER!r}: only {PACKAGED!r} can be trained here; unset it")
        try:
            refresh_index()
            index = ensure_index()
            needs = [need for path in options["needs"] for need in needs_of(Path(path), index)]
            held = needs_of(Path(options["held_out"]), index) if options["held_out"] else []
            found = self._fit(index, needs)
            if held:
                self._tell(index, held, found)
        except (EncoderError, IndexBusy, ValueError) as fault:
            raise CommandError(str(fault)) from None
        if options["dry_run"]:
            return
        target = Path(options["out"]) if options["out"] else adapter.STORED
        try:
            save(found, target)
        except OSError as fault:
            raise CommandError(f"--out {target}: cannot be written: {fault.strerror}") from None
        self.stdout.write(f"How needs are read is in {target.name}. Train the ranking next: manage.py train_ranking.")

    def _fit(self, index: Index, needs: list[JudgedNeed]) -> Adapter:
        from recommender import adapting  # imports torch, for which --help shall not wait

        if len(needs) < adapting.BATCH:
            raise CommandError(
                f"needs: {len(needs)} of these files have a graded paper in the index; at least {adapting.BATCH} are needed"
            )
        lens = wording.lens_for(PACKAGED)
        if lens is None:
            raise CommandError(f"{wording.STORED.name} is missing: train_ranking --wording makes it")
        vectors, pieces = read_by(encoder(), [document.embedded_text() for document in index.documents.values()])
        shelf = adapting.Shelf(vectors, wording.kept_of(lens, pieces))
        row = {number: at for at, number in enumerate(index.documents)}
        answered = [
            adapting.Answered(need.text, {row[number]: grade for number, grade in need.grades.items() if grade})
            for need in needs
        ]
        changes = adapting.fit(packaged_folder(), shelf, lens, answered, self._progress)
        texts = sorted(f"{need.text}\0{sorted(need.grades.values())}" for need in needs)
        return Adapter(PACKAGED, changes, {"needs": len(needs), "sha256": digest_of(texts)})

    def _progress(self, done: int, steps: int, loss: float) -> None:
        if done % SHOWN_EVERY == 0 or done == steps:
            self.stderr.write(f"step {done} of {steps}, loss {loss:.3f}")

    def _tell(self, index: Index, held: list[JudgedNeed], found: Adapter) -> None:
        """nDCG@10 of vectors alone and of words alone, read as papers are and read by what was trained."""
        cache = settings.DATA_DIR / CACHE
        for name, reader in (("as papers are read", encoder()), ("trained", open_encoder(PACKAGED, cache, found))):
            gains: dict[str, list[float]] = {"vectors": [], "words": []}
            for need in held:
                near = index.candidates(need.text, reader, None)
                for part, scores in (("vectors", near.semantic), ("words", near.wording)):
                    order = sorted(scores, key=lambda number: (-scores[number], number))
                    gains[part].append(ndcg(need.grades, order))
            told = ", ".join(f"{part} {sum(several) / len(several):.3f}" for part, several in gains.items())
            self.stdout.write(f"{name:20} nDCG@10 of {told}, {len(held)} needs held out")
