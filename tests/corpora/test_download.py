"""Downloads from a folder, a mirror address and the publisher."""

from __future__ import annotations

import errno
import hashlib
import io
import shutil
import socket
import threading
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from hf_model.corpora import catalogue, corpus, transfer
from hf_model.corpora import download as download_module
from hf_model.corpora.catalogue import CORPORA, DownloadSettings
from hf_model.corpora.corpus import Archive, Corpus
from hf_model.corpora.download import FetchError, download

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
    monkeypatch.setattr(transfer, "BACKOFF", 0.001)
    monkeypatch.setattr(transfer, "BLOCK", 1000)


@pytest.fixture
def known(monkeypatch, tmp_path):
    """A small registry: `known(name, ...)` adds a corpus with the files FILES."""
    hashes = tmp_path / "hashes"
    hashes.mkdir()
    monkeypatch.setattr(corpus, "HASHES", hashes)
    corpus._hashes.cache_clear()
    corpus._sizes.cache_clear()
    entries = {"made": CORPORA["made"]}
    monkeypatch.setattr(catalogue, "CORPORA", entries)

    def add(name="songs", hashed=FILES, sized=None, **changes):
        if sized:
            text = "".join(f"{size}  {path}\n" for path, size in sized.items())
            (hashes / f"{name}.sizes").write_text(text, encoding="utf-8")
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
    corpus._sizes.cache_clear()


@pytest.fixture
def server():
    """A local web server that counts requests, returns errors and closes connections as configured."""
    state = SimpleNamespace(files={}, requests=Counter(), ranges=[], hang_up_after=[], status=[], resumes=True, url="")
    state.endless, state.sent, state.shift = set(), 0, None

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
                start = start if state.shift is None else state.shift
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            if path in state.endless:
                return self.send_chunks(content)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            limit = state.hang_up_after.pop(0) if state.hang_up_after else None
            self.wfile.write(content[start:] if limit is None else content[start : start + limit])
            if limit is not None:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            return None

        def send_chunks(self, content):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with suppress(OSError):  # the client hangs up
                while True:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
                    state.sent += len(content)

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
def fetch(tmp_path):
    """`fetch(name)` downloads one corpus into `fetch.folder`, with the cache in `fetch.cache`."""

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
def test_mirror_folder_provides_the_needed_files(known, fetch, tmp_path):
    known(base_url="https://example.org/", listed=True)
    result = fetch("songs", mirror=make_mirror(tmp_path / "mirror"))["songs"]
    assert content_of(fetch.folder / "songs") == NEEDED
    assert (result.files, result.bytes, result.unverified, result.left_out) == (3, 300_011, 0, [])


def test_mirror_comes_from_the_environment(known, fetch, tmp_path, monkeypatch):
    known(base_url="https://example.org/", listed=True)
    monkeypatch.setenv(download_module.MIRROR_VARIABLE, make_mirror(tmp_path / "mirror"))
    download(DownloadSettings(corpora=("songs",)), fetch.folder, fetch.cache)
    assert content_of(fetch.folder / "songs") == NEEDED


@pytest.mark.usefixtures("known")
def test_synthetic_corpus_needs_no_download(fetch):
    assert fetch("made")["made"].files == 0
    assert content_of(fetch.folder) == {}


def test_broken_file_in_the_mirror_is_reported(known, fetch, tmp_path):
    known(base_url="https://example.org/", listed=True)
    mirror = make_mirror(tmp_path / "mirror", FILES | {"sing&say/2.flac": b"twp" * 50_000})
    with pytest.raises(FetchError, match=r"songs: .*sing&say/2.flac has sha256 .* expected .*: broken") as caught:
        fetch("songs", mirror=mirror)
    assert "\n" not in str(caught.value)
    assert not (fetch.folder / "songs/sing&say/2.flac").exists()


def test_missing_file_of_a_listed_corpus_is_reported(known, fetch, tmp_path):
    known(base_url="https://example.org/", listed=True)
    files = {path: content for path, content in FILES.items() if path != "sing&say/1.txt"}
    with pytest.raises(FetchError, match=r"songs: sing&say/1.txt is missing"):
        fetch("songs", mirror=make_mirror(tmp_path / "mirror", files))


def test_unlisted_corpus_counts_unverified_files(known, fetch, tmp_path):
    known(hashed={"sing&say/1.txt": FILES["sing&say/1.txt"]})
    result = fetch("songs", mirror=make_mirror(tmp_path / "mirror"))["songs"]
    assert (result.files, result.unverified) == (3, 2)


def test_mirror_without_the_corpus_is_reported(known, fetch, tmp_path):
    known(base_url="https://example.org/", listed=True)
    with pytest.raises(FetchError, match="HUMMINGFACE_MIRROR must contain one for each corpus"):
        fetch("songs", mirror=str(tmp_path))


def test_mirror_folder_may_hold_the_archive(known, fetch, tmp_path):
    known(archives=(Archive("songs.zip", "", f"sha256:{sha256(packed(FILES))}", strip=1),), hashed=None)
    mirror = make_mirror(tmp_path / "mirror", {"songs.zip": packed(FILES)})
    assert fetch("songs", mirror=mirror)["songs"].unverified == 0
    assert content_of(fetch.folder / "songs") == NEEDED


def test_files_without_accepted_licence_are_left_out(known, fetch, tmp_path):
    exceptions = (("sing&say/2.*", "unstated"),)
    known(base_url="https://example.org/", listed=True, exceptions=exceptions)
    mirror = make_mirror(tmp_path / "mirror")
    assert fetch("songs", mirror=mirror)["songs"].left_out == ["sing&say/2.flac"]
    assert "sing&say/2.flac" not in content_of(fetch.folder / "songs")
    assert fetch("songs", mirror=mirror, accept_license=("unstated",))["songs"].files == 3


# ---------------------------------------------------------------------------------------------------- over the network
def test_single_files_are_fetched_from_the_publisher(known, fetch, server):
    server.files = FILES
    known(base_url=server.url, listed=True)
    assert fetch("songs")["songs"].files == 3
    assert content_of(fetch.folder / "songs") == NEEDED
    assert server.requests["README.md"] == 0


def test_a_mirror_address_replaces_the_publisher(known, fetch, server):
    server.files = {f"copies/songs/{path}": content for path, content in FILES.items()}
    known(base_url="http://127.0.0.1:9/never/", listed=True)
    fetch("songs", mirror=server.url + "copies")
    assert content_of(fetch.folder / "songs") == NEEDED


def test_cached_files_are_not_fetched_again(known, fetch, server):
    server.files = FILES
    known(base_url=server.url, listed=True)
    fetch("songs")
    shutil.rmtree(fetch.folder / "songs")
    fetch("songs")
    assert content_of(fetch.folder / "songs") == NEEDED
    assert set(server.requests.values()) == {1}


def test_broken_connection_resumes(known, fetch, server):
    server.files = FILES
    server.hang_up_after = [100_000, 20_000]
    known(base_url=server.url, listed=True, keep=("sing&say/2.flac",))
    fetch("songs")
    assert content_of(fetch.folder / "songs") == {"sing&say/2.flac": FILES["sing&say/2.flac"]}
    assert server.requests["sing&say/2.flac"] == 3
    assert server.ranges == [None, "bytes=100000-", "bytes=120000-"]


def test_stopped_run_is_resumed_by_the_next(known, fetch, server, monkeypatch):
    server.files = FILES
    server.hang_up_after = [100_000]
    known(base_url=server.url, listed=True, keep=("sing&say/2.flac",))

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(transfer.time, "sleep", stop)
    with pytest.raises(KeyboardInterrupt):
        fetch("songs")
    assert content_of(fetch.folder / "songs") == {}
    assert [path.stat().st_size for path in fetch.cache.rglob("*.part")] == [100_000]
    fetch("songs")
    assert server.ranges[-1] == "bytes=100000-"
    assert content_of(fetch.folder / "songs") == {"sing&say/2.flac": FILES["sing&say/2.flac"]}


def test_server_without_ranges_sends_the_file_again(known, fetch, server):
    server.files, server.resumes = FILES, False
    server.hang_up_after = [100_000]
    known(base_url=server.url, listed=True, keep=("sing&say/2.flac",))
    fetch("songs")
    assert content_of(fetch.folder / "songs") == {"sing&say/2.flac": FILES["sing&say/2.flac"]}
    assert server.requests["sing&say/2.flac"] == 2


@pytest.mark.parametrize("stale", [b"x" * 100, b"x" * 200_000], ids=["shorter", "longer"])
def test_partial_download_of_another_file_is_discarded(known, fetch, server, stale):
    server.files = FILES
    known(base_url=server.url, listed=True, keep=("sing&say/2.flac",))
    url = server.url + "sing%26say/2.flac"
    part = fetch.cache / "songs" / "sing&say" / f".{sha256(url.encode())[:16]}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(stale)
    fetch("songs")
    assert content_of(fetch.folder / "songs") == {"sing&say/2.flac": FILES["sing&say/2.flac"]}


def test_server_errors_are_retried(known, fetch, server):
    server.files, server.status = FILES, [503, 500]
    known(base_url=server.url, listed=True, keep=("sing&say/1.txt",))
    fetch("songs")
    assert server.requests["sing&say/1.txt"] == 3


def test_client_errors_are_not_retried(known, fetch, server):
    known(base_url=server.url, listed=True, keep=("sing&say/1.txt",))
    with pytest.raises(FetchError, match="the server answered 404 Not Found") as caught:
        fetch("songs")
    assert str(caught.value).startswith(f"songs: {server.url}")
    assert "HUMMINGFACE_MIRROR" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.requests["sing&say/1.txt"] <= 2


def test_missing_network_is_reported(known, fetch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        known(base_url=f"http://127.0.0.1:{unused.getsockname()[1]}/", listed=True, keep=("sing&say/1.txt",))
        with pytest.raises(FetchError, match="the connection failed"):
            fetch("songs")


def test_wrong_hash_is_reported_and_leaves_nothing(known, fetch, server):
    server.files = FILES | {"sing&say/1.txt": b"0.1 0.2 61\n"}
    known(base_url=server.url, listed=True, keep=("sing&say/1.txt",))
    with pytest.raises(FetchError, match=r"songs: http.*1\.txt: its sha256 is not the known one"):
        fetch("songs")
    assert content_of(fetch.folder) == {}
    assert content_of(fetch.cache) == {}


def test_file_larger_than_its_known_size_is_refused(known, fetch, server):
    server.files = FILES | {"sing&say/1.txt": b"0" * 60_000}
    known(base_url=server.url, listed=True, keep=("sing&say/1.txt",), sized={"sing&say/1.txt": 11})
    with pytest.raises(FetchError, match=r"1\.txt: refused, it is larger than expected \(11 bytes\)"):
        fetch("songs")
    assert content_of(fetch.cache) == {}
    server.endless = {"sing&say/1.txt"}
    with pytest.raises(FetchError, match=r"1\.txt: refused, it is larger than expected \(11 bytes\)"):
        fetch("songs")
    assert content_of(fetch.cache) == {}


def test_endless_file_of_unknown_size_is_refused(known, fetch, server, monkeypatch):
    monkeypatch.setattr(transfer, "BLOCK", 1 << 16)
    monkeypatch.setattr(download_module, "UNKNOWN_LEAST", 1_000_000)
    known(archives=archive_of(server, b"0" * 50_000), hashed=None, size=1000)
    server.endless = {"dl/songs.zip"}
    with pytest.raises(
        FetchError, match=r"songs\.zip: refused, it is larger than expected \(at most 1,000,000 bytes\)"
    ):
        fetch("songs")
    assert content_of(fetch.cache) == {}
    assert server.sent < 20_000_000, "it hangs up"


@pytest.mark.parametrize("endless", [False, True])
def test_file_that_the_disk_has_no_room_for_is_refused(known, fetch, server, monkeypatch, endless):
    known(archives=archive_of(server, packed(FILES)), hashed=None)
    server.endless = {"dl/songs.zip"} if endless else set()
    monkeypatch.setattr(download_module, "RESERVE", -(10**9))
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: SimpleNamespace(free=transfer.RESERVE + 500))
    with pytest.raises(FetchError, match=r"songs\.zip: the disk has no room for it: 0 MB are missing, 210 MB are free"):
        fetch("songs")


def test_another_part_than_the_one_asked_for_is_discarded(known, fetch, server):
    server.files, server.hang_up_after, server.shift = FILES, [100_000], 5
    known(base_url=server.url, listed=True, keep=("sing&say/2.flac",))
    fetch("songs")
    assert server.ranges == [None, "bytes=100000-", None]
    assert content_of(fetch.folder / "songs") == {"sing&say/2.flac": FILES["sing&say/2.flac"]}


def test_passwords_of_a_mirror_are_not_shown(known, fetch, server, capfd):
    known(base_url="https://example.org/", listed=True, keep=("sing&say/1.txt",))
    secret = server.url.replace("://", "://ada:s3cret@")
    for mirror in (secret, secret.replace("http://", "https://"), "ftp://ada:s3cret@example.org/copies"):
        with pytest.raises(FetchError) as caught:
            fetch("songs", mirror=mirror)
        assert "s3cret" not in f"{caught.value}{caught.value.__cause__}"
        assert "://***@" in str(caught.value)
    assert "s3cret" not in "".join(capfd.readouterr())


# ------------------------------------------------------------------------------------------------------------ archives
def archive_of(server, content, **changes):
    server.files = {"dl/songs.zip": content}
    return (Archive("songs.zip", server.url + "dl/songs.zip", **{"strip": 1, **changes}),)


def test_archive_is_unpacked_and_verified(known, fetch, server):
    known(archives=archive_of(server, packed(FILES)), listed=True)
    assert fetch("songs")["songs"].unverified == 0
    assert content_of(fetch.folder / "songs") == NEEDED


def test_wrong_file_in_an_archive_is_reported(known, fetch, server):
    known(archives=archive_of(server, packed(FILES | {"sing&say/2.flac": b"?"})), listed=True)
    with pytest.raises(FetchError, match=r"sing&say/2.flac has sha256"):
        fetch("songs")


def test_archive_with_path_traversal_is_refused(known, fetch, server, tmp_path):
    known(archives=archive_of(server, packed(FILES | {"../../../evil.txt": b"evil"})))
    with pytest.raises(FetchError, match="leads outside the folder"):
        fetch("songs")
    assert not list(tmp_path.rglob("evil.txt"))


def test_archive_without_known_hash_is_counted(known, fetch, server):
    known(archives=archive_of(server, packed(FILES)), hashed=None)
    result = fetch("songs")["songs"]
    assert result.unverified == 3
    assert result.archives == {"songs.zip": sha256(packed(FILES))}, "to compare it with another download"


def test_archive_without_needed_files_is_reported(known, fetch, server):
    known(archives=archive_of(server, packed(FILES), strip=0), hashed=None)
    with pytest.raises(FetchError, match="no file that its reader needs"):
        fetch("songs")


def test_manual_download_is_explained(known, fetch):
    known(archives=(Archive("songs.zip", "", url_confirmed=False),), hashed=None)
    with pytest.raises(FetchError, match=r"download it by hand \(https://example.org\) into a folder songs/"):
        fetch("songs")


# ---------------------------------------------------------------------------------------------------------------- disk
def test_missing_disk_space_is_reported_before_the_download(known, fetch, server, monkeypatch):
    known(archives=archive_of(server, packed(FILES), size=5_000_000_000))
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000_000))
    with pytest.raises(FetchError, match=r"songs: needs about 15.0 GB of disk .* 1.0 GB are free"):
        fetch("songs")
    assert not server.requests


def test_full_disk_raises_the_system_error(known, fetch, tmp_path, monkeypatch):
    known(base_url="https://example.org/", listed=True)

    def full(_, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(download_module.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left") as caught:
        fetch("songs", mirror=make_mirror(tmp_path / "mirror"))
    assert caught.value.errno == errno.ENOSPC


def test_huge_corpora_are_asked_for_twice(tmp_path, monkeypatch):
    monkeypatch.delenv("HUMMINGFACE_MIRROR", raising=False)
    settings = DownloadSettings(("maestro",), ("CC BY-NC-SA 4.0",))
    with pytest.raises(FetchError, match=r"maestro is a download of 108 GB; .* set download\.max_gigabytes to 109"):
        download(settings, tmp_path / "raw", tmp_path / "cache", mirror="")
