"""docker-compose.yml, Dockerfile and .env.example: valid, healthy, without secrets, and about the settings that exist."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

COMPOSE = "docker-compose.yml"
VARIABLE = re.compile(r"\$\{(\w+)(?::?[-?]([^}]*))?\}")


@pytest.fixture(scope="module")
def compose(project_root):
    return yaml.safe_load((project_root / COMPOSE).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(compose):
    return compose["services"]


@pytest.fixture(scope="module")
def check_config(project_root):
    """Runs docker-compose's own check on a text as if it were the project's file."""
    if shutil.which("docker-compose") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("docker-compose is missing in CI, where the compose file must be checked")
        pytest.skip("docker-compose is not on this machine")
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    clean["ENV_FILE"] = ".env.example"  # a checkout has no .env

    def check(text, *options):
        return subprocess.run(
            ["docker-compose", "--project-directory", str(project_root), "-f", "-", *options, "config", "-q"],
            input=text, text=True, capture_output=True, env=clean, timeout=60, check=False,
        )  # fmt: skip

    return check


@pytest.mark.parametrize("options", [[], ["--profile", "gpu"], ["--profile", "agent"]], ids=["plain", "gpu", "agent"])
def test_file_is_valid(project_root, check_config, options):
    done = check_config((project_root / COMPOSE).read_text(encoding="utf-8"), *options)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param("    command:", "    comand:", id="key"),
        pytest.param("service_healthy", "service_helthy", id="condition"),
        pytest.param("  data: {}\n", "", id="volume"),
    ],
)
def test_the_check_would_catch_a_mistake(project_root, check_config, right, wrong):
    text = (project_root / COMPOSE).read_text(encoding="utf-8")
    assert right in text
    assert check_config(text.replace(right, wrong)).returncode != 0


def test_services(services):
    assert set(services) == {"web", "worker", "gpu-worker", "agent", "beat", "db", "redis", "migrate"}
    for name, profile in (("gpu-worker", "gpu"), ("agent", "agent")):
        assert services[name]["profiles"] == [profile]
        [device] = services[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]


def test_an_agent_is_given_its_server_and_its_token_alone(services):
    """It runs code under test on a machine apart: no database, no broker, no key of the installation, no shared folder."""
    agent = services["agent"]
    assert set(agent["environment"]) == {"SPEEDPROOF_SERVER", "SPEEDPROOF_TOKEN"}
    assert agent["env_file"] == [], "no file of settings"
    assert not {"volumes", "ports", "depends_on"} & set(agent)


def test_every_service_tells_whether_it_is_healthy(services):
    """One that ends after its work has no health; then the others must wait for its success instead."""
    for name, service in services.items():
        health = service["healthcheck"]
        if health.get("disable"):
            waiting = [other for other in services.values() if name in other.get("depends_on", {})]
            assert waiting
            assert all(other["depends_on"][name]["condition"] == "service_completed_successfully" for other in waiting)
            assert service["restart"] == "no"
        else:
            assert {"test", "interval", "timeout", "retries"} <= set(health), name


def test_every_service_has_limits_and_restarts(services):
    for name, service in services.items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name


def test_database_and_broker_keep_their_data_and_are_not_published(compose, services):
    for name in ("db", "redis"):
        assert "ports" not in services[name]
        volume = services[name]["volumes"][0].split(":")[0]
        assert volume in compose["volumes"]


def test_the_services_of_our_own_write_to_their_volume_alone(services):
    for name, service in services.items():
        if "build" not in service:
            continue
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("volumes", []) == ([] if name == "agent" else ["data:/data"]), name
        assert len(service["tmpfs"]) == 1, name


def test_every_setting_of_the_example_reaches_the_services(services):
    """By the file that the operator fills in; what stands beside it in the compose file would hide that file's value."""
    decided = {
        "DEBUG",
        "ALLOWED_HOSTS",
        "DATABASE_URL",
        "BROKER_URL",
        "DATA_DIR",
        "INDEX_DIR",
        "EXPORT_DIR",
        "LOG_FORMAT",
    }
    for name in ("migrate", "web", "worker", "gpu-worker", "beat"):
        assert services[name]["env_file"] == ["${ENV_FILE:-.env}"], name
        own = {"BIND", "WEB_WORKERS", "WEB_THREADS", "DEVICE"}
        assert decided <= set(services[name]["environment"]) <= decided | own, name


def test_app_waits_for_what_it_needs(services):
    for name in ("web", "worker", "gpu-worker", "beat"):
        waits = {needed: how["condition"] for needed, how in services[name]["depends_on"].items()}
        assert waits == {
            "db": "service_healthy",
            "redis": "service_healthy",
            "migrate": "service_completed_successfully",
        }, name


def test_no_secret_is_written_down(project_root, services):
    """Passwords and keys come from the environment, without a default; in .env.example they are empty or placeholders."""
    text = (project_root / COMPOSE).read_text(encoding="utf-8")
    for name, default in VARIABLE.findall(text):
        if re.search(r"SECRET|PASSWORD|TOKEN|KEY", name):
            assert default == "", f"{name} has a default"
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"SECRET|PASSWORD|TOKEN|KEY", name):
                assert VARIABLE.fullmatch(value), f"{name} is written down"
            assert not re.search(r"://[^:/]*:[^$@]+@", value), f"{name} holds a password"
    example = (project_root / ".env.example").read_text(encoding="utf-8")
    assert re.search(r"^POSTGRES_PASSWORD=$", example, re.MULTILINE)
    ignored = (project_root / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".env", ".git", "var"} <= set(ignored)


def _example_variables(project_root):
    return re.findall(r"^#?([A-Z][A-Z_]+)=", (project_root / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)


def _variables_read(project_root):
    settings = (project_root / "config" / "settings.py").read_text(encoding="utf-8")
    gunicorn = (project_root / "config" / "gunicorn.py").read_text(encoding="utf-8")
    gunicorn += (project_root / "config" / "web_worker.py").read_text(encoding="utf-8")
    readers = r"(?:env(?:\.\w+)?|whole_number|one_of|numbers_by_name)"
    yield from re.findall(rf'\b{readers}\(\s*"([A-Z_]+)"', settings)
    process = (project_root / "runners" / "bench" / "process.py").read_text(encoding="utf-8")
    yield from re.findall(r'"(SPEEDPROOF_CONFINE)"', process)
    yield from re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', gunicorn)
    yield from (name for name, _ in VARIABLE.findall((project_root / COMPOSE).read_text(encoding="utf-8")))


def test_example_names_every_variable_that_settings_gunicorn_and_compose_read(project_root):
    read = set(_variables_read(project_root))
    listed = _example_variables(project_root)
    assert len(listed) == len(set(listed))
    assert read - set(listed) == set()
    assert set(listed) <= read, "a variable that nothing reads"


def test_every_variable_of_the_example_is_explained(project_root):
    lines = (project_root / ".env.example").read_text(encoding="utf-8").split("\n")
    for position, line in enumerate(lines):
        if re.match(r"#?[A-Z][A-Z_]+=", line):
            above = next(before for before in reversed(lines[:position]) if not re.match(r"#?[A-Z][A-Z_]+=", before))
            assert above.startswith("# "), f"line {position + 1}: {line} has no comment above it"


def test_images(project_root, services):
    dockerfile = (project_root / "Dockerfile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))
    assert {service["build"]["target"] for service in services.values() if "build" in service} <= targets
    for target in ("web", "worker"):
        stage = dockerfile.split(f" AS {target}\n")[1].split("\nFROM ")[0]
        assert "USER speedproof" in stage
        assert "HEALTHCHECK" in stage
    assert re.search(r"^FROM worker AS gpu$", dockerfile, re.MULTILINE), "gpu takes user and health check from worker"
    assert "-r requirements/base.lock" in dockerfile


@pytest.mark.parametrize(("target", "service"), [("web", "web"), ("worker", "worker")], ids=lambda value: value)
def test_image_and_compose_start_the_same_command(project_root, services, target, service):
    stage = (project_root / "Dockerfile").read_text(encoding="utf-8").split(f" AS {target}\n")[1].split("\nFROM ")[0]
    [command] = re.findall(r"^CMD (\[.*\])$", stage, re.MULTILINE)
    assert yaml.safe_load(command) == services[service]["command"]


def test_health_of_the_web_is_asked_in_the_same_way_by_image_and_compose(project_root, services):
    stage = (project_root / "Dockerfile").read_text(encoding="utf-8").split(" AS web\n")[1]
    [test] = re.findall(r"^    CMD (\[.*\])$", stage, re.MULTILINE)
    assert ["CMD", *yaml.safe_load(test)] == services["web"]["healthcheck"]["test"]
    assert "/healthz" in test
