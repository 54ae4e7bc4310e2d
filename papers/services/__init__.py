"""Every write to papers, techniques and claims. Called alike by pages, API, tasks and commands."""

from papers.services.accounts import (
    add_person,
    end_other_sign_ins,
    end_sign_in,
    live_sign_ins,
    note_sign_in,
    password_changed,
    set_active,
    set_role,
)
from papers.services.claims import follow_abstract, store_card_claims
from papers.services.code_links import SeenLink, record_code_links
from papers.services.common import Actor, Change, FieldError, may_edit, write_audit
from papers.services.deciding import AlreadyDecided, answers_to, decide, open_questions, subject_of
from papers.services.merging import merge_papers
from papers.services.papers import find_paper, withdraw_paper
from papers.services.people import CORRECTABLE, DECISIONS, PAPER_FIELDS, add_claim, edit_paper, review_claim
from papers.services.queue import Doubt, open_review_item, open_review_items
from papers.services.recording import Recorded, record_paper, record_papers
from papers.services.sights import SeenPaper
from papers.services.statements import same_statement
from papers.services.techniques import EDITABLE, RecordDiff, diff_record, edit_technique, store_record, store_records
from papers.services.twins import keep_apart

__all__ = [
    "CORRECTABLE",
    "DECISIONS",
    "EDITABLE",
    "PAPER_FIELDS",
    "Actor",
    "AlreadyDecided",
    "Change",
    "Doubt",
    "FieldError",
    "RecordDiff",
    "Recorded",
    "SeenLink",
    "SeenPaper",
    "add_claim",
    "add_person",
    "answers_to",
    "decide",
    "diff_record",
    "edit_paper",
    "edit_technique",
    "end_other_sign_ins",
    "end_sign_in",
    "find_paper",
    "follow_abstract",
    "keep_apart",
    "live_sign_ins",
    "may_edit",
    "merge_papers",
    "note_sign_in",
    "open_questions",
    "open_review_item",
    "open_review_items",
    "password_changed",
    "record_code_links",
    "record_paper",
    "record_papers",
    "review_claim",
    "same_statement",
    "set_active",
    "set_role",
    "store_card_claims",
    "store_record",
    "store_records",
    "subject_of",
    "withdraw_paper",
    "write_audit",
]
