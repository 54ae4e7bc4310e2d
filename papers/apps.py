from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class PapersConfig(AppConfig):
    name = "papers"

    def ready(self) -> None:
        from papers import change_log, migrating, signals

        signals.connect(self)
        pre_migrate.connect(migrating.wait_briefly, sender=self)
        pre_migrate.connect(change_log.remove_before_migrating, sender=self)
        post_migrate.connect(change_log.install_after_migrating, sender=self)
        post_migrate.connect(migrating.wait_as_before, sender=self)
