"""The peer h2o 2.2.5, which Debian 12 has and later releases have not: unpacked from its archive into the cache
folder, installed nowhere. It runs with this system's OpenSSL, as all others here."""
import os
import re
import subprocess

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ron-peers/h2o")
PACKAGES = ["h2o", "libyaml-0-2"]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PROGRAM = os.path.join(CACHE, "usr/bin/h2o")


def archive():
    """Where apt gets this system's own release from."""
    targets = subprocess.run(["apt-get", "indextargets", "--format", "$(CODENAME) $(LABEL) $(REPO_URI)"],
                             capture_output=True, text=True, check=True).stdout
    found = re.search(r"^\S+ Debian (https?://\S+)", targets, re.MULTILINE)
    if not found:
        raise RuntimeError("apt knows no Debian archive")
    return found[1]


def fetch():
    """Downloads the packages with lists of their own, checks their signatures, unpacks them."""
    for folder in ("lists/partial", "archives/partial"):
        os.makedirs(os.path.join(CACHE, folder), exist_ok=True)
    sources = os.path.join(CACHE, "sources.list")
    with open(sources, "w", encoding="ascii") as file:
        file.write(f"deb [signed-by={KEYRING}] {archive()} bookworm main\n")
    apt = ["apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null",
           "-o", f"Dir::State::lists={CACHE}/lists", "-o", f"Dir::Cache={CACHE}", "-o", "APT::Sandbox::User=root",
           "-o", "Dir::Etc::preferencesparts=/dev/null", "-o", "Dir::State::status=/dev/null"]
    subprocess.run([*apt, "update"], check=True, capture_output=True, timeout=120)
    subprocess.run([*apt, "download", *PACKAGES], cwd=CACHE, check=True, capture_output=True, timeout=120)
    for name in sorted(os.listdir(CACHE)):
        if name.endswith(".deb"):
            subprocess.run(["dpkg", "-x", name, "."], cwd=CACHE, check=True)


def find():
    """The program and the environment it needs. Raises RuntimeError with the reason if it does not run here."""
    if not os.path.exists(PROGRAM):
        try:
            fetch()
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:
            said = getattr(error, "stderr", b"") or b""
            raise RuntimeError(f"{error} {said.decode(errors='replace').strip()}") from None
    libraries = [folder for folder, _, names in os.walk(os.path.join(CACHE, "usr/lib"))
                 if any(".so." in name for name in names)]
    environment = os.environ | {"LD_LIBRARY_PATH": ":".join(libraries), "H2O_ROOT": os.path.join(CACHE, "usr")}
    done = subprocess.run([PROGRAM, "--version"], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return PROGRAM, environment
