"""Fetching from a folder, from an address and from the publisher: whole and verified, or a line that says why not."""

from __future__ import annotations

import errno
import hashlib
import io
import shutil
import socket
import threading
import zipfile
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from hf_model.corpora import catalogue, corpus
from hf_model.corpora import download as download_module
from hf_model.corpora.catalogue import DownloadSettings
from hf_model.corpora.corpus import Archive, Corpus
from hf_model.corpora.download import FetchError, download
from hf_model.corpora.registry import CORPORA

FILES = {
    "sing&say/1.flac": b"one" * 50_000,
    "sing&say/1.txt": b"0.1 0.2 60\n",
    "sing&say/2.flac": b"two" * 50_000,
    "README.md": b"not needed",
}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def packed(files, top="top-abc/"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(top + name), content)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.delenv(download_module.MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(download_module, "BACKOFF", 0.001)
    monkeypatch.setattr(download_module, "BLOCK", 1000)
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)


@pytest.fixture
def known(monkeypatch, tmp_path):
    """A registry of our own: `known(name, ...)` adds a corpus whose files are FILES."""
    hashes = tmp_path / "hashes"
    hashes.mkdir()
    monkeypatch.setattr(corpus, "HASHES", hashes)
    corpus._hashes.cache_clear()
    entries = {"made": CORPORA["made"]}
    monkeypatch.setattr(catalogue, "CORPORA", entries)

    def add(name="songs", hashed=FILES, **changes):
        if hashed:
            text = "".join(f"{sha256(content)}  {path}\n" for path, content in sorted(hashed.items()))
            (hashes / f"{name}.sha256").write_text(text, encoding="utf-8")
        entry = Corpus(
            name, "Songs", "Us", "https://example.org", "MIT", "scores", "Tests.", keep=("sing&say/*",), reader="a:b"
        )
        entries[name] = replace(entry, **changes)
        return entries[name]

    yield add
    corpus._hashes.cache_clear()


@pytest.fixture
def server():
    """A web server on this machine that counts, refuses, lies and hangs up as told."""
    state = SimpleNamespace(files={}, requests=Counter(), ranges=[], hang_up_after=[], status=[], resumes=True, url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = unquote(self.path).lstrip("/")
            state.requests[path] += 1
            content = state.files.get(path)
            if state.status:
                return self.send_error(state.status.pop(0))
            if content is None:
                return self.send_error(404)
            start = 0
            wanted = self.headers.get("Range")
            state.ranges.append(wanted)
            if wanted and state.resumes:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    return self.send_error(416)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            limit = state.hang_up_after.pop(0) if state.hang_up_after else None
            self.wfile.write(content[start:] if limit is None else content[start : start + limit])
            if limit is not None:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            return None

        def log_message(self, *args):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}/"
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def bring(tmp_path):
    """`bring(name)` fetches one corpus; what came lies in `bring.folder`, and what is kept in `bring.cache`."""

    def run(*names, mirror="", **settings):
        return download(DownloadSettings(corpora=names, **settings), run.folder, run.cache, mirror)

    run.folder, run.cache = tmp_path / "raw", tmp_path / "cache"
    run.folder.mkdir()
    return run


def make_mirror(folder, files=FILES, name="songs"):
    for path, content in files.items():
        (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / path).write_bytes(content)
    return str(folder)


def content_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


NEEDED = {path: content for path, content in FILES.items() if path.startswith("sing")}


# ---------------------------------------------------------------------------------------------------- a mirror folder
def test_a_mirror_folder_gives_the_files_that_the_reader_needs(known, bring, tmp_path):
    known(base_url="https://example.org/", listed=True)
    result = bring("songs", mirror=make_mirror(tmp_path / "mirror"))["songs"]
    assert content_of(bring.folder / "songs") == NEEDED
    assert (result.files, result.bytes, result.unverified, result.left_out) == (3, 300_011, 0, [])


def test_the_environment_names_the_mirror(known, bring, tmp_path, monkeypatch):
    known(base_url="https://example.org/", listed=True)
    monkeypatch.setenv(download_module.MIRROR_VARIABLE, make_mirror(tmp_path / "mirror"))
    download(DownloadSettings(corpora=("songs",)), bring.folder, bring.cache)
    assert content_of(bring.folder / "songs") == NEEDED


@pytest.mark.usefixtures("known")
def test_made_needs_no_download(bring):
    assert bring("made")["made"].files == 0
    assert content_of(bring.folder) == {}


def test_a_broken_copy_in_the_mirror_is_named(known, bring, tmp_path):
    known(base_url="https://example.org/", listed=True)
    mirror = make_mirror(tmp_path / "mirror", FILES | {"sing&say/2.flac": b"twp" * 50_000})
    with pytest.raises(FetchError, match=r"songs: .*sing&say/2.flac has sha256 .* expected .*: broken") as caught:
        bring("songs", mirror=mirror)
    assert "\n" not in str(caught.value)
    assert not (bring.folder / "songs/sing&say/2.flac").exists()


def test_a_file_missing_from_a_listed_corpus_is_named(known, bring, tmp_path):
    known(base_url="https://example.org/", listed=True)
    files = {path: content for path, content in FILES.items() if path != "sing&say/1.txt"}
    with pytest.raises(FetchError, match=r"songs: sing&say/1.txt is missing"):
        bring("songs", mirror=make_mirror(tmp_path / "mirror", files))


def test_a_corpus_that_is_not_listed_takes_what_is_there_and_counts_what_nothing_vouches_for(known, bring, tmp_path):
    known(hashed={"sing&say/1.txt": FILES["sing&say/1.txt"]})
    result = bring("songs", mirror=make_mirror(tmp_path / "mirror"))["songs"]
    assert (result.files, result.unverified) == (3, 2)


def test_a_mirror_without_the_corpus_is_named(known, bring, tmp_path):
    known(base_url="https://example.org/", listed=True)
    with pytest.raises(FetchError, match="HUMMINGFACE_MIRROR must hold one a corpus"):
        bring("songs", mirror=str(tmp_path))


def test_a_mirror_folder_may_hold_the_archive(known, bring, tmp_path):
    known(archives=(Archive("songs.zip", "", f"sha256:{sha256(packed(FILES))}", strip=1),), hashed=None)
    mirror = make_mirror(tmp_path / "mirror", {"songs.zip": packed(FILES)})
    assert bring("songs", mirror=mirror)["songs"].unverified == 0
    assert content_of(bring.folder / "songs") == NEEDED


def test_files_whose_licence_is_not_accepted_are_left_out_and_named(known, bring, tmp_path):
    exceptions = (("sing&say/2.*", "unstated"),)
    known(base_url="https://example.org/", listed=True, exceptions=exceptions)
    mirror = make_mirror(tmp_path / "mirror")
    assert bring("songs", mirror=mirror)["songs"].left_out == ["sing&say/2.flac"]
    assert "sing&say/2.flac" not in content_of(bring.folder / "songs")
    assert bring("songs", mirror=mirror, accept_license=("unstated",))["songs"].files == 3


# ---------------------------------------------------------------------------------------------------- over the network
def test_single_files_come_from_the_publisher(known, bring, server):
    server.files = FILES
    known(base_url=server.url, listed=True)
    assert bring("songs")["songs"].files == 3
    assert content_of(bring.folder / "songs") == NEEDED
    assert server.requests["README.md"] == 0


def test_a_mirror_address_replaces_the_publisher(known, bring, server):
    server.files = {f"copies/songs/{path}": content for path, content in FILES.items()}
    known(base_url="http://127.0.0.1:9/never/", listed=True)
    bring("songs", mirror=server.url + "copies")
    assert content_of(bring.folder / "songs") == NEEDED


def test_what_was_fetched_is_not_fetched_again(known, bring, server):
    server.files = FILES
    known(base_url=server.url, listed=True)
    bring("songs")
    shutil.rmtree(bring.folder / "songs")
    bring("songs")
    assert content_of(bring.folder / "songs") == NEEDED
    assert set(server.requests.values()) == {1}


def test_a_connection_that_breaks_goes_on_where_it_stopped(known, bring, server):
    server.files = FILES
    server.hang_up_after = [100_000, 20_000]
    known(base_url=server.url, listed=True, keep=("sing&say/2.flac",))
    bring("songs")
    assert content_of(bring.folder / "songs") == {"sing&say/2.flac": FILES["sing&say/2.flac"]}
    assert server.requests["sing&say/2.flac"] == 3
    assert server.ranges == [None, "bytes=100000-", "bytes=120000-"]


def test_a_run_that_was_stopped_goes_on_in_the_next(known, bring, server, monkeypatch):
    server.files = FILES
    server.hang_up_after = [100_000]
    monkeypatch.setattr(download_module, "RETRIES", 0)
    known(base_url=server.url, listed=True, keep=("sing&say/2.flac",))

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pooch.core.time.sleep", stop)
    with pytest.raises(KeyboardInterrupt):
        bring("songs")
    assert content_of(bring.folder / "songs") == {}
    assert [path.stat().st_size for path in bring.cache.rglob("*.part")] == [100_000]
    bring("songs")
    assert server.ranges[-1] == "bytes=100000-"
    assert content_of(bring.folder / "songs") == {"sing&say/2.flac": FILES["sing&say/2.flac"]}


def test_a_server_that_cannot_resume_sends_all_of_it_again(known, bring, server):
    server.files, server.resumes = FILES, False
    server.hang_up_after = [100_000]
    known(base_url=server.url, listed=True, keep=("sing&say/2.flac",))
    bring("songs")
    assert content_of(bring.folder / "songs") == {"sing&say/2.flac": FILES["sing&say/2.flac"]}
    assert server.requests["sing&say/2.flac"] == 2


@pytest.mark.parametrize("stale", [b"x" * 100, b"x" * 200_000], ids=["shorter", "longer"])
def test_a_part_that_belongs_to_another_file_does_not_survive(known, bring, server, stale):
    server.files = FILES
    known(base_url=server.url, listed=True, keep=("sing&say/2.flac",))
    url = server.url + "sing%26say/2.flac"
    part = bring.cache / "songs" / "sing&say" / f".{sha256(url.encode())[:16]}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(stale)
    bring("songs")
    assert content_of(bring.folder / "songs") == {"sing&say/2.flac": FILES["sing&say/2.flac"]}


def test_a_server_in_trouble_is_asked_again(known, bring, server):
    server.files, server.status = FILES, [503, 500]
    known(base_url=server.url, listed=True, keep=("sing&say/1.txt",))
    bring("songs")
    assert server.requests["sing&say/1.txt"] == 3


def test_a_refusal_is_final_and_told_in_one_line(known, bring, server):
    known(base_url=server.url, listed=True, keep=("sing&say/1.txt",))
    with pytest.raises(FetchError, match="the server says 404 Not Found") as caught:
        bring("songs")
    assert str(caught.value).startswith(f"songs: {server.url}")
    assert "HUMMINGFACE_MIRROR" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.requests["sing&say/1.txt"] <= 2


def test_no_network_is_told_in_one_line(known, bring):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        known(base_url=f"http://127.0.0.1:{unused.getsockname()[1]}/", listed=True, keep=("sing&say/1.txt",))
        with pytest.raises(FetchError, match="the connection failed"):
            bring("songs")


def test_a_wrong_hash_is_told_and_leaves_nothing(known, bring, server):
    server.files = FILES | {"sing&say/1.txt": b"0.1 0.2 61\n"}
    known(base_url=server.url, listed=True, keep=("sing&say/1.txt",))
    with pytest.raises(FetchError, match=r"songs: http.*1\.txt: SHA256 hash .* does not match"):
        bring("songs")
    assert content_of(bring.folder) == {}
    assert content_of(bring.cache) == {}


# ------------------------------------------------------------------------------------------------------------ archives
def archive_of(server, content, **changes):
    server.files = {"dl/songs.zip": content}
    return (Archive("songs.zip", server.url + "dl/songs.zip", **{"strip": 1, **changes}),)


def test_an_archive_is_unpacked_and_its_files_verified(known, bring, server):
    known(archives=archive_of(server, packed(FILES)), listed=True)
    assert bring("songs")["songs"].unverified == 0
    assert content_of(bring.folder / "songs") == NEEDED


def test_an_archive_with_a_wrong_file_in_it_is_told(known, bring, server):
    known(archives=archive_of(server, packed(FILES | {"sing&say/2.flac": b"?"})), listed=True)
    with pytest.raises(FetchError, match=r"sing&say/2.flac has sha256"):
        bring("songs")


def test_an_archive_that_leads_outside_is_refused(known, bring, server, tmp_path):
    known(archives=archive_of(server, packed(FILES | {"../../../evil.txt": b"evil"})))
    with pytest.raises(FetchError, match="leads outside the folder"):
        bring("songs")
    assert not list(tmp_path.rglob("evil.txt"))


def test_an_archive_without_a_known_hash_is_counted(known, bring, server):
    known(archives=archive_of(server, packed(FILES)), hashed=None)
    assert bring("songs")["songs"].unverified == 3


def test_an_archive_with_nothing_needed_is_told(known, bring, server):
    known(archives=archive_of(server, packed(FILES), strip=0), hashed=None)
    with pytest.raises(FetchError, match="nothing that its reader needs"):
        bring("songs")


def test_what_must_be_got_by_hand_says_how(known, bring):
    known(archives=(Archive("songs.zip", "", url_confirmed=False),), hashed=None)
    with pytest.raises(FetchError, match=r"get it by hand \(https://example.org\), put it into a folder songs/"):
        bring("songs")


# ---------------------------------------------------------------------------------------------------------------- disk
def test_too_little_space_is_told_before_anything_is_fetched(known, bring, server, monkeypatch):
    known(archives=archive_of(server, packed(FILES), size=5_000_000_000))
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000_000))
    with pytest.raises(FetchError, match=r"songs: needs about 15.0 GB of disk .* 1.0 GB are free"):
        bring("songs")
    assert not server.requests


def test_a_disk_that_fills_up_is_the_error_of_the_system(known, bring, tmp_path, monkeypatch):
    known(base_url="https://example.org/", listed=True)

    def full(_, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(download_module.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left") as caught:
        bring("songs", mirror=make_mirror(tmp_path / "mirror"))
    assert caught.value.errno == errno.ENOSPC
