"""The data set as files: tables, writers, and where the files are."""
