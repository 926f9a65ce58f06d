"""Unpacking of untrusted archives."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile

import pytest

from hf_model.corpora.archives import ArchiveError, unpack


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def make_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_files_are_unpacked_to_their_paths(tmp_path, make):
    archive = make(tmp_path / "a", [("top/a.txt", b"one"), ("top/sub/b.txt", b"two")])
    folder = tmp_path / "out"
    assert unpack(archive, folder) == ["top/a.txt", "top/sub/b.txt"]
    assert (folder / "top/sub/b.txt").read_bytes() == b"two"
    assert everything(folder) == ["top", "top/a.txt", "top/sub", "top/sub/b.txt"]


def test_strip_and_wanted_select_files(tmp_path):
    archive = make_zip(tmp_path / "a.zip", [("repo-abc/", b""), ("repo-abc/a.mid", b"1"), ("repo-abc/b.txt", b"2")])
    names = unpack(archive, tmp_path / "out", strip=1, wanted=lambda name: name.endswith(".mid"))
    assert names == ["a.mid"]
    assert everything(tmp_path / "out") == ["a.mid"]


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "..\\evil.txt", "C:\\evil.txt", "a/..", "\\evil"]
)
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_path_traversal_is_refused_and_leaves_nothing(tmp_path, make, name):
    archive = make(tmp_path / "a", [("good.txt", b"good"), (name, b"evil")])
    folder = tmp_path / "deep" / "out"
    with pytest.raises(ArchiveError, match="leads outside"):
        unpack(archive, folder)
    assert everything(folder) == []
    assert not list(tmp_path.rglob("evil*"))


def test_path_traversal_in_an_unwanted_file_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", [("good.mid", b"good"), ("../evil.txt", b"evil")])
    with pytest.raises(ArchiveError, match="leads outside"):
        unpack(archive, tmp_path / "out", wanted=lambda name: name.endswith(".mid"))


def links():
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        yield info


@pytest.mark.parametrize("link", list(links()), ids=["symlink", "hardlink", "device", "fifo"])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, link):
    archive = make_tar(tmp_path / "a.tar", [("good.txt", b"good"), (link, b"")], "w")
    with pytest.raises(ArchiveError, match="link or device"):
        unpack(archive, tmp_path / "out")
    assert everything(tmp_path / "out") == []


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = make_zip(tmp_path / "a.zip", [(info, b"/etc/passwd")])
    with pytest.raises(ArchiveError, match="is a link"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_archive_bomb_is_refused(tmp_path, make):
    archive = make(tmp_path / "a", [("one", bytes(3 << 20)), ("two", bytes(3 << 20))])
    assert archive.stat().st_size < 50_000
    with pytest.raises(ArchiveError, match="bomb"):
        unpack(archive, tmp_path / "out", max_bytes=4 << 20)
    assert everything(tmp_path / "out") == []


def test_default_limit_grows_with_the_archive(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_model.corpora.archives.MIN_LIMIT", 1000)
    archive = make_zip(tmp_path / "a.zip", [("zeros", bytes(5 << 20))])
    with pytest.raises(ArchiveError, match="bomb"):
        unpack(archive, tmp_path / "out")
    archive = make_zip(tmp_path / "b.zip", [("text", b"la la la " * 50)])
    assert unpack(archive, tmp_path / "out") == ["text"]


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_truncated_archive_is_reported(tmp_path, make):
    archive = make(tmp_path / "half", [(f"{k}.bin", bytes(range(256)) * 40) for k in range(20)])
    archive.write_bytes(archive.read_bytes()[:-300])
    with pytest.raises(ArchiveError, match="half: broken archive"):
        unpack(archive, tmp_path / "out")
    assert everything(tmp_path / "out") == []


def test_text_file_is_not_an_archive(tmp_path):
    (tmp_path / "page.zip").write_text("<html>Please log in</html>")
    with pytest.raises(ArchiveError, match=r"page.zip: broken archive"):
        unpack(tmp_path / "page.zip", tmp_path / "out")
