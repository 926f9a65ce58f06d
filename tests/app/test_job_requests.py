"""The body of a job: only the form that the page sends is accepted."""

import json

import pytest

from hf_model.app.job_requests import MAX_LYRICS, MAX_ROWS, MAX_TEXT, MAX_TITLE, JobRequest, check_job
from hf_model.app.limits import PageError
from hf_model.app.middleware import SMALL_BODY

ID = "0123456789abcdef" * 2
NOTE = [0.0, 0.5, 60.02, 80, 0.9]
SETTINGS = {
    "arrangement": {"quantize": "1/8t", "transpose": -2, "strength": 0.5, "snap_key": True, "tempo": None},
    "performance": {"sound": "sampled", "pedal": False, "reverb": 0.2},
}
PATHS = ("/etc/passwd", "/dev/zero", "http://192.0.2.1/a.wav", "file:///etc/passwd")
FILES = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in PATHS]


def convert(recording: object = ID, start: object = 0, settings: object = None, **more: object) -> dict[str, object]:
    settings = {} if settings is None else settings
    return {"job": "convert", "recording": recording, "start": start, "settings": settings} | more


def render(notes: object, settings: object = None) -> dict[str, object]:
    return {"job": "render", "recording": ID, "notes": notes, "settings": {} if settings is None else settings}


def sing(**changes: object) -> dict[str, object]:
    return {"job": "sing", "recording": ID, "lyrics": "la la", "voice": "robot", "language": "pt"} | changes


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in convert().items() if name != key}


def as_bytes(body: object) -> bytes:
    return json.dumps(body).encode()


ACCEPTED = {
    "convert": (convert(), JobRequest("convert", ID)),
    "convert a part": (convert(ID, 12.5, SETTINGS), JobRequest("convert", ID, 12.5, settings=SETTINGS)),
    "render": (render([NOTE, [1, 2, 62, 80, 1]]), JobRequest("render", ID, notes=[NOTE, [1, 2, 62, 80, 1]])),
    "render known keys": (
        render([NOTE, NOTE]) | {"keys": [21, None]},
        JobRequest("render", ID, notes=[NOTE, NOTE], keys=[21, None]),
    ),
    "render no notes": (render([]), JobRequest("render", ID)),
    "as many notes as a job refuses itself": (render([NOTE] * 1001), JobRequest("render", ID, notes=[NOTE] * 1001)),
}

ACCEPTED |= {
    "convert with the file's name": (convert(title="a <b>.wav"), JobRequest("convert", ID, title="a <b>.wav")),
    "practice": (
        {"job": "practice", "recording": ID, "notes": [NOTE]},
        JobRequest("practice", ID, notes=[NOTE]),
    ),
    "sing": (sing(), JobRequest("sing", ID, lyrics="la la", voice="robot", language="pt")),
}

REFUSED = {
    "no keys": {},
    "list": [],
    "number": 7,
    "text": "a",
    "null": None,
    "no job": without("job"),
    "no recording": without("recording"),
    "no start": without("start"),
    "no settings": without("settings"),
    "another job": convert(job="listen"),
    "number as job": convert(job=0),
    "list as job": convert(job=["convert"]),
    "another key": convert(event_data=None),
    "notes to convert": convert(notes=[]),
    "start to render": render([]) | {"start": 0},
    "long title": convert(title="a" * (MAX_TITLE + 1)),
    "number as title": convert(title=7),
    "practice without notes": {"job": "practice", "recording": ID},
    "practice with settings": {"job": "practice", "recording": ID, "notes": [], "settings": {}},
    "no words to sing": sing(lyrics=""),
    "too many words to sing": sing(lyrics="a" * (MAX_LYRICS + 1)),
    "list as words": sing(lyrics=["la"]),
    "another voice": sing(voice="../alto"),
    "list as voice": sing(voice=["alto"]),
    "another language": sing(language="xx"),
    "short id": convert(ID[1:]),
    "id in capitals": convert(ID.upper()),
    "id and a line break": convert(ID + "\n"),
    "path as id": convert("../../etc/passwd"),
    "number as id": convert(7),
    "list as id": convert([ID]),
    "null as id": convert(None),
    "text as start": convert(ID, "0"),
    "bool as start": convert(ID, True),
    "null as start": convert(ID, None),
    "notes as start": convert(ID, [NOTE]),
    "large start": convert(ID, 10**7),
    "huge start": convert(ID, 10**4000),
    "number as notes": render(0),
    "object as notes": render({"0": NOTE}),
    "text as notes": render("notes"),
    "short note": render([NOTE[:4]]),
    "long note": render([[*NOTE, 1]]),
    "object as note": render([{"onset": 0}]),
    "text in a note": render([[*NOTE[:4], "1"]]),
    "bool in a note": render([[*NOTE[:4], True]]),
    "null in a note": render([[*NOTE[:4], None]]),
    "list in a note": render([[*NOTE[:4], [1]]]),
    "a key off the keyboard": render([NOTE]) | {"keys": [109]},
    "a fraction as key": render([NOTE]) | {"keys": [60.0]},
    "bool as key": render([NOTE]) | {"keys": [True]},
    "a key that is no list": render([NOTE]) | {"keys": 60},
    "too many keys": render([]) | {"keys": [None] * (MAX_ROWS + 1)},
    "keys to convert": convert(keys=[60]),
    "too many notes": render([[0] * 5] * (MAX_ROWS + 1)),
    "list as settings": convert(settings=[]),
    "text as settings": convert(settings="{}"),
    "null as settings": convert() | {"settings": None},
    "another section": convert(settings={"path": {}}),
    "file of plain values": convert(settings={"path": "/etc/passwd", "meta": "gradio.FileData"}),
    "another setting": convert(settings={"arrangement": {"path": "/etc/passwd"}}),
    "plain section": convert(settings={"arrangement": 1}),
    "list in a setting": convert(settings={"arrangement": {"tempo": [90]}}),
    "long text": convert(settings={"arrangement": {"meter": "4" * (MAX_TEXT + 1)}}),
    "control character": convert(settings={"arrangement": {"meter": "4/4\0"}}),
    "half a character": convert(settings={"arrangement": {"meter": "\ud800"}}),
    "large setting": convert(settings={"arrangement": {"tempo": 1e7}}),
}
for number, file in enumerate(FILES):
    REFUSED |= {
        f"file {number} as id": convert(file),
        f"file {number} as start": convert(ID, file),
        f"file {number} as notes": render(file),
        f"file {number} as note": render([file]),
        f"file {number} in a note": render([[*NOTE[:4], file]]),
        f"file {number} as settings": convert(settings=file),
        f"file {number} as section": convert(settings={"arrangement": file}),
        f"file {number} in a setting": convert(settings={"arrangement": {"tempo": file}}),
        f"file {number} as another key": convert(file=file),
        f"file {number} as job": convert(job=file),
        f"file {number} as all": file,
    }

PLAIN = as_bytes(convert())
NOT_JSON = {
    "empty": b"",
    "cut": PLAIN[:-1],
    "two values": PLAIN * 2,
    "not a number": as_bytes(convert(ID, float("nan"))),
    "infinity": as_bytes(convert(ID, float("inf"))),
    "infinity in a note": as_bytes(render([[*NOTE[:4], float("-inf")]])),
    "number beyond the range of floats": PLAIN.replace(b" 0,", b" 1e999,", 1),
    "5000 digits": PLAIN.replace(b" 0,", b" " + b"9" * 5000 + b",", 1),
    "deep": b"[" * SMALL_BODY,
    "deep data": PLAIN.replace(b"{}", b"[" * 200_000 + b"]" * 200_000),
    "not UTF-8": PLAIN.replace(b"{}", b'"\xff"'),
    "UTF-16": json.dumps(convert()).encode("utf-16"),
    "form": b"job=convert",
}
BODIES = {name: as_bytes(body) for name, body in REFUSED.items()} | {f"JSON: {n}": body for n, body in NOT_JSON.items()}


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_jobs_of_the_page_are_accepted(name: str) -> None:
    body, asked = ACCEPTED[name]
    assert check_job(as_bytes(body)) == asked


@pytest.mark.parametrize("name", BODIES)
def test_other_bodies_are_refused(name: str) -> None:
    with pytest.raises(PageError, match="The request is not valid") as caught:
        check_job(BODIES[name])
    assert len(str(caught.value)) < 60


def test_of_two_equal_keys_the_last_is_read_and_checked() -> None:
    hidden = PLAIN.replace(b"{}", b'{"performance": {"sound": {"path": "/x"}}, "performance": {}}')
    assert check_job(b" \n" + hidden).settings == {"performance": {}}
    with pytest.raises(PageError, match="settings"):
        check_job(hidden.replace(b'"performance": {}', b'"arrangement": {}'))
