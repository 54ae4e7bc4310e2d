import hashlib
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError

from papers.files import write_lines
from papers.folding import fold_title
from recommender import relevance, wording
from recommender.advice import read_need
from recommender.encoders import EncoderError, read_by
from recommender.index import Index, IndexBusy
from recommender.learning import Judged, cross_validated, figures, fit, start
from recommender.ranking import FEATURES, STORED, features
from recommender.services import build_index, encoder, ensure_index, refresh_index


class Command(BaseCommand):
    help = "Train the weights of the ranking on judged needs over the papers of the index, and print what they gain."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "needs", nargs="+", metavar="NEEDS",
            help="JSON lines with id, need, stage, hardware, training_allowed and grades: {title: 0 to 3}",
        )  # fmt: skip
        parser.add_argument("--held-out", metavar="FILE", help="needs that are only measured, never trained on")
        parser.add_argument(
            "--out", metavar="FILE", help=f"where the weights go (default: {STORED.name} beside the code)"
        )
        parser.add_argument(
            "--wording", action="store_true",
            help=f"first fit {wording.STORED.name}, through which words are compared, to the papers of the index; needs no grades",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="print figures, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            refresh_index()
            index = ensure_index()
            if options["wording"] and not options["dry_run"]:
                index = self._fit_wording(index)
            titles = {fold_title(index.documents[i].title): i for i in index.documents}
            needs = [one for path in options["needs"] for one in self._read(Path(path), index, titles)]
            held = self._read(Path(options["held_out"]), index, titles) if options["held_out"] else []
        except (EncoderError, IndexBusy) as fault:
            raise CommandError(str(fault)) from None
        if not needs:
            raise CommandError("needs: there is none in these files whose papers are in the index")
        weights = fit(needs)
        told = {
            "by_hand": figures(needs, start()), "cross_validated": cross_validated(needs), "fitted": figures(needs, weights),
        }  # fmt: skip
        if held:
            told |= {"held_out_by_hand": figures(held, start()), "held_out": figures(held, weights)}
        for name, found in told.items():
            self.stdout.write(
                f"{name.replace('_', ' '):18} nDCG@10 {found.ndcg:.3f}  success@1 {found.success:.3f}  {found.needs} needs"
            )
        if options["dry_run"]:
            return
        digest = hashlib.sha256(b"".join(Path(path).read_bytes() for path in options["needs"])).hexdigest()
        stored = {
            "weights": {name: round(float(w), 4) for name, w in zip(FEATURES, weights, strict=True)},
            "trained_on": {"needs": len(needs), "sha256": digest},
            "figures": {name: {"ndcg": round(f.ndcg, 4), "success": round(f.success, 4)} for name, f in told.items()},
        }
        target = Path(options["out"]) if options["out"] else STORED
        try:
            write_lines(target, [json.dumps(stored, indent=2)])
        except OSError as fault:
            raise CommandError(f"--out {target}: cannot be written: {fault.strerror}") from None
        self.stdout.write(f"Weights are in {target.name}.")

    def _fit_wording(self, index: Index) -> Index:
        """The lens of the encoder in use, fitted anew, and the index built again through it."""
        reader = encoder()
        texts = [document.embedded_text() for document in index.documents.values()]
        _, read = read_by(reader, texts)
        if not read:
            raise CommandError(f"--wording: the encoder {reader.name!r} does not tell how it read single words")
        wording.save(wording.fit(reader.name, read), wording.STORED, texts)
        wording.shipped.cache_clear()
        self.stdout.write(f"Words of {len(read)} papers are compared through {wording.STORED.name}.")
        build_index()
        return ensure_index()

    def _read(self, path: Path, index: Index, titles: dict[str, int]) -> list[Judged]:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as fault:
            raise CommandError(f"{path}: cannot be read: {fault}") from None
        found = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                one = judged(json.loads(line), index, titles)
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as fault:
                why = f"field {fault} is missing" if isinstance(fault, KeyError) else str(fault)
                raise CommandError(f"{path}, line {number}: {why}") from None
            if one.known:
                found.append(one)
        return found


def judged(row: dict[str, Any], index: Index, titles: dict[str, int]) -> Judged:
    """A judged need with the features of what is found for it. Titles that the index does not hold are left out."""
    given = {"stage": row.get("stage"), "gpu": row.get("hardware"), "training": row.get("training_allowed")}
    need = read_need(row["need"], **{name: value for name, value in given.items() if value})
    wanted = relevance.read_query(need.text).narrowed(need.stage, need.training, need.gpu)
    grades = {
        titles[fold_title(title)]: int(grade) for title, grade in row["grades"].items() if fold_title(title) in titles
    }
    found = index.candidates(need.text, encoder(), None, wanted=wanted)
    table = features(found)
    rows = np.array([[table[i].get(name, 0.0) for name in FEATURES] for i in found.ids])
    known = tuple(grade for grade in grades.values() if grade)
    return Judged(str(row["id"]), rows, np.array([grades.get(i, 0) for i in found.ids]), known)
