"""How the extractor's weights are trained: labelled papers in, `ingest/extraction/trained/` out. No Django here."""
