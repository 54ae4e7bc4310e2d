from django.apps import AppConfig
from django.core import checks


class IngestConfig(AppConfig):
    name = "ingest"

    def ready(self) -> None:
        from ingest.checks import check_endpoint

        checks.register(check_endpoint)
