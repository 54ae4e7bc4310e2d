"""Sentence encoders: what search and extraction read texts by. No Django here."""
