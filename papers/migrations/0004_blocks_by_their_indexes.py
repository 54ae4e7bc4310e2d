from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("papers", "0003_regressions"),
    ]

    operations = [
        migrations.AlterField(
            model_name="paper",
            name="title_head",
            field=models.CharField(blank=True, editable=False, max_length=8),
        ),
        migrations.AlterField(
            model_name="paper",
            name="title_start",
            field=models.CharField(blank=True, editable=False, max_length=24),
        ),
        migrations.AlterField(
            model_name="paper",
            name="title_tail",
            field=models.CharField(blank=True, editable=False, max_length=12),
        ),
        migrations.AlterField(
            model_name="paper",
            name="title_words",
            field=models.CharField(blank=True, editable=False, max_length=40),
        ),
        migrations.AddIndex(
            model_name="paper",
            index=models.Index(fields=["title_head", "withdrawn_at"], name="paper_by_title_head"),
        ),
        migrations.AddIndex(
            model_name="paper",
            index=models.Index(fields=["title_start", "withdrawn_at"], name="paper_by_title_start"),
        ),
        migrations.AddIndex(
            model_name="paper",
            index=models.Index(fields=["title_tail", "withdrawn_at"], name="paper_by_title_tail"),
        ),
        migrations.AddIndex(
            model_name="paper",
            index=models.Index(fields=["title_words", "withdrawn_at"], name="paper_by_title_words"),
        ),
    ]
