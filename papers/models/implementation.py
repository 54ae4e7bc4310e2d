"""What can be run, and on what."""

from datetime import timedelta
from typing import Self

from django.db import models
from django.urls import reverse
from django.utils import timezone

from papers.models.paper import Paper

DEVICE_SILENT_AFTER = timedelta(minutes=2)


class DeviceKind(models.TextChoices):
    CPU = "cpu", "CPU"
    CUDA = "cuda", "CUDA GPU"


class Implementation(models.Model):
    """A card and its module. The hashes tell whether a result belongs to the version that is here."""

    name = models.SlugField(max_length=80, unique=True)
    paper = models.ForeignKey(Paper, on_delete=models.PROTECT, related_name="implementations")
    card = models.JSONField()
    card_hash = models.CharField(max_length=64)
    code_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Its card is no longer in the repository.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("technique", args=[self.paper.slug])


class DeviceQuerySet(models.QuerySet["Device"]):
    def alive(self) -> Self:
        return self.filter(last_seen_at__gte=timezone.now() - DEVICE_SILENT_AFTER)


class Device(models.Model):
    """What a worker found on its machine, or what an imported result names."""

    uid = models.CharField(max_length=120, unique=True, help_text="Stable across restarts: host and device.")
    kind = models.CharField(max_length=10, choices=DeviceKind)
    name = models.CharField(max_length=200)
    memory_bytes = models.BigIntegerField(null=True, blank=True)
    capability = models.CharField(max_length=20, blank=True)
    driver = models.CharField(max_length=40, blank=True)
    details = models.JSONField(default=dict, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    objects = DeviceQuerySet.as_manager()

    class Meta:
        ordering = ["kind", "name", "id"]
        constraints = [models.CheckConstraint(condition=models.Q(kind__in=DeviceKind.values), name="device_kind_known")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_alive(self) -> bool:
        return self.last_seen_at is not None and self.last_seen_at >= timezone.now() - DEVICE_SILENT_AFTER
