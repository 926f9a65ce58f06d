"""The registry: one entry a corpus. Where an address or a hash could not be checked, its note says so."""

from __future__ import annotations

from hf_model.corpora.corpus import UNSTATED, Archive, Corpus

_MAGENTA = "https://storage.googleapis.com/magentadata/datasets/"
_NSYNTH = "http://download.magenta.tensorflow.org/datasets/nsynth/"
_RAW_GITHUB = "https://raw.githubusercontent.com/"
_ZIP_GITHUB = "https://codeload.github.com/"

_ENTRIES = (
    # ------------------------------------------------------------------------------------------------------- voices
    Corpus(
        name="made",
        title="Phrases composed and sung by the program",
        citation="HummingFace, hf_model.singer.synthesis",
        homepage="",
        licence="CC0 1.0",
        role="voice with notes",
        use="The default: nothing to download, every label exact.",
    ),
    Corpus(
        name="ssvd",
        title="Sight-singing Vocal Dataset v2.0, folder train&valid: men, women and children",
        citation="Wang et al., MusicYOLO: A sight-singing onset/offset detection framework, ICASSP 2022",
        homepage="https://github.com/xk-wang/SSVD-v2.0",
        licence="MIT",
        role="voice with notes",
        use="Real voices with note labels, for training and test.",
        size=97_000_000,
        keep=("train&valid/*.flac", "train&valid/*.txt"),
        reader="hf_model.corpora.readers.voice:read_ssvd",
        base_url=_RAW_GITHUB + "xk-wang/SSVD-v2.0/93d36acd28cc46a53cd698260c0df459ec399056/",
        listed=True,
        exceptions=tuple((f"train&valid/{name}.*", UNSTATED) for name in ("1252", "3221", "4193", "4380")),
        note="States no licence itself; 62 of the 66 recordings are also in HUST_Solfege, which is MIT (of those, the "
        "man1_* and man2_* came there from MARG, Seoul). The other four are left out unless 'unstated' is accepted. "
        "Recording 1150 is in the public test set too and is left out.",
    ),
    Corpus(
        name="hust_solfege",
        title="HUST_Solfege: onsets, pitches and the score that was meant, of 101 recordings",
        citation="HUST_Solfege, github.com/itec-hust",
        homepage="https://github.com/itec-hust/HUST_Solfege",
        licence="MIT",
        role="voice with notes",
        use="The score pitch meant by each note of an ssvd recording; download both.",
        size=200_000,
        keep=("onset&pitch/*.txt", "alignment/*.txt", "LICENSE"),
        reader="hf_model.corpora.readers.voice:read_hust_solfege",
        base_url=_RAW_GITHUB + "itec-hust/HUST_Solfege/8d4afe0651c8dc64dd3a7ac559e087db5c1d474d/",
        listed=True,
        note="The audio of 62 recordings is in ssvd. Whether the commit in the address holds every file could not be "
        "confirmed; each is checked by its hash.",
    ),
    Corpus(
        name="vocadito",
        title="vocadito: 40 short solo songs in 7 languages, with two note annotations",
        citation="Bittner et al., vocadito: A dataset of solo vocals with f0, note, and lyric annotations, 2021",
        homepage="https://zenodo.org/record/5578807",
        licence="CC BY 4.0",
        role="voice with notes",
        use="Measured on only: singers, phones and rooms from elsewhere.",
        size=58_492_257,
        keep=("Audio/*.wav", "Annotations/Notes/*.csv", "vocadito_metadata.csv"),
        reader="hf_model.corpora.readers.voice:read_vocadito",
        archives=(
            Archive(
                "vocadito.zip",
                "https://zenodo.org/record/5578807/files/vocadito.zip",
                "sha256:e0d6b99d3f9c594afe5ae5c4d7bdacebe569e53b809e90b89d1c771c4f9990e3",
                58_492_257,
            ),
        ),
        measure_only=True,
        note="Hash and size of the archive as quoted by several public projects.",
    ),
    Corpus(
        name="csd",
        title="Children's Song Dataset: 100 songs, each in two keys, by one professional singer",
        citation="Choi et al., Children's Song Dataset for singing voice research, ISMIR late-breaking demo 2020",
        homepage="https://zenodo.org/record/4785016",
        licence="CC BY-NC-SA 4.0",
        role="voice with notes",
        use="Measured on only: a singer from another world than ssvd.",
        size=2_000_000_000,
        keep=("*/wav/*.wav", "*/mp3/*.mp3", "*/csv/*.csv", "*/mid/*.mid"),
        reader="hf_model.corpora.readers.voice:read_csd",
        archives=(Archive("CSD.zip", "https://zenodo.org/record/4785016/files/CSD.zip", strip=1),),
        measure_only=True,
        note="No hash of the archive could be confirmed; sha256 known for one take (an mp3 of it); size estimated.",
    ),
    # ------------------------------------------------------------------------------------------------------- scores
    Corpus(
        name="pop909",
        title="POP909: 909 pop songs as MIDI with melody, bridge and piano, beats, chords and keys",
        citation="Wang et al., POP909: A pop-song dataset for music arrangement generation, ISMIR 2020",
        homepage="https://github.com/music-x-lab/POP909-Dataset",
        licence="MIT",
        role="scores",
        use="Melodies for the singer.",
        size=50_000_000,
        keep=("POP909/???/???.mid", "*/beat_midi.txt", "*/chord_midi.txt", "*/key_audio.txt", "LICENSE"),
        reader="hf_model.corpora.readers.scores:read_pop909",
        archives=(
            Archive(
                "POP909-Dataset-d83e6ed.zip",
                _ZIP_GITHUB + "music-x-lab/POP909-Dataset/zip/d83e6edba6872a704f5d3b8b32f5cb540088dae6",
                strip=1,
            ),
        ),
        listed=True,
        note="GitHub packs the archive anew, so it has no fixed hash; every file in it is checked by its own.",
    ),
    Corpus(
        name="lakh_midi",
        title="Lakh MIDI Dataset, LMD-full: 178,561 MIDI files from the web, named by their MD5",
        citation="Raffel, Learning-based methods for comparing sequences, PhD thesis, 2016",
        homepage="https://colinraffel.com/projects/lmd/",
        licence="CC BY 4.0",
        role="scores",
        use="Melodies for the singer: the tracks whose name says that they are one.",
        size=1_768_163_879,
        keep=("lmd_full/*.mid",),
        reader="hf_model.corpora.readers.scores:read_lakh_midi",
        archives=(
            Archive(
                "lmd_full.tar.gz",
                "http://hog.ee.columbia.edu/craffel/lmd/lmd_full.tar.gz",
                "sha256:6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
                1_768_163_879,
            ),
        ),
        note="The licence is the collector's; who wrote each file is not known, and most songs are protected.",
    ),
    Corpus(
        name="lakh_pianoroll",
        title="Lakh Pianoroll Dataset, LPD-5-cleansed: 21,425 songs as five piano rolls each",
        citation="Dong et al., MuseGAN, AAAI 2018; Raffel, PhD thesis, 2016",
        homepage="https://hermandong.com/lakh-pianoroll-dataset/dataset",
        licence="CC BY 4.0",
        role="scores",
        use="Accompaniment by instrument family on one beat grid; the upper line of the piano as a melody.",
        size=1_000_000_000,
        keep=("*.npz",),
        reader="hf_model.corpora.readers.scores:read_lakh_pianoroll",
        archives=(Archive("lpd_5_cleansed.tar.gz", "", url_confirmed=False),),
        note="Published on Google Drive, behind a page that a program cannot pass: download by hand. Neither address, "
        "hash nor size could be confirmed.",
    ),
    Corpus(
        name="musedata",
        title="MuseData: classical scores by CCARH, Stanford, as MuseData stage 2 files and MIDI",
        citation="Hewlett, MuseData, in Beyond MIDI, MIT Press 1997",
        homepage="https://www.musedata.org",
        licence=UNSTATED,
        role="scores",
        use="Melodies for the singer: one part of a movement each.",
        size=10_000_000,
        keep=("*.mid", "*.midi", "*.md2", "*.msd", "*/stage2/*"),
        reader="hf_model.corpora.readers.musedata:read_musedata",
        archives=(Archive("musedata.zip", "", url_confirmed=False),),
        note="Published work by work on a web site and in repositories of github.com/musedata: no single archive, no "
        "hash and no licence text could be found. Collect what you need under musedata/, in any folders.",
    ),
    Corpus(
        name="vgmidi",
        title="VGMIDI: piano arrangements of video game music, 200 of them labelled with valence and arousal",
        citation="Ferreira and Whitehead, Learning to generate music with sentiment, ISMIR 2019",
        homepage="https://github.com/lucasnfe/vgmidi",
        licence=UNSTATED,
        role="scores",
        use="Melodies for the singer: the upper line of the piano; the labels may steer what it sings.",
        size=50_000_000,
        keep=("vgmidi_labelled.csv", "labelled/midi/*.mid", "unlabelled/*.mid"),
        reader="hf_model.corpora.readers.scores:read_vgmidi",
        archives=(Archive("vgmidi-master.zip", _ZIP_GITHUB + "lucasnfe/vgmidi/zip/refs/heads/master", strip=1),),
        note="No licence in the repository, and the games' music is protected. The layout is that of the newest commit "
        "seen; its hash could not be confirmed, the size is estimated.",
    ),
    # -------------------------------------------------------------------------------------------- piano, instruments
    Corpus(
        name="maestro",
        title="MAESTRO v3: 199 hours of concert piano, recorded with what the keys did",
        citation="Hawthorne et al., Enabling factorized piano music modeling and generation, ICLR 2019",
        homepage="https://magenta.tensorflow.org/datasets/maestro",
        licence="CC BY-NC-SA 4.0",
        role="piano",
        use="Targets for the synthesizer: notes and the sound of a real piano.",
        size=108_445_099_632,
        keep=("maestro-v3.0.0.csv", "maestro-v3.0.0.json", "*.midi", "*.wav", "LICENSE"),
        reader="hf_model.corpora.readers.instruments:read_maestro",
        archives=(
            Archive(
                "maestro-v3.0.0.zip",
                _MAGENTA + "maestro/v3.0.0/maestro-v3.0.0.zip",
                "sha256:6680fea5be2339ea15091a249fbd70e49551246ddbd5ca50f1b2352c08c95291",
                108_445_099_632,
                strip=1,
            ),
        ),
        note="Hash as the publisher gives it. The MIDI part alone (maestro-v3.0.0-midi.zip, 56 MB) is read too, from a "
        "mirror folder that holds it unpacked.",
    ),
    Corpus(
        name="nsynth",
        title="NSynth: 305,979 single notes of 1,006 instruments, four seconds each, 16 kHz",
        citation="Engel et al., Neural audio synthesis of musical notes with WaveNet autoencoders, ICML 2017",
        homepage="https://magenta.tensorflow.org/datasets/nsynth",
        licence="CC BY 4.0",
        role="instruments",
        use="Single notes, keyboard_acoustic for a piano and the other families for other sounds.",
        size=24_000_000_000,
        keep=("nsynth-*/examples.json", "nsynth-*/audio/*.wav"),
        reader="hf_model.corpora.readers.instruments:read_nsynth",
        archives=tuple(
            Archive(f"nsynth-{split}.jsonwav.tar.gz", f"{_NSYNTH}nsynth-{split}.jsonwav.tar.gz")
            for split in ("train", "valid", "test")
        ),
        note="No hash of these archives could be confirmed; size estimated.",
    ),
    Corpus(
        name="groove",
        title="Groove MIDI Dataset: 13.6 hours of drumming by ten people, MIDI and audio",
        citation="Gillick et al., Learning to groove with inverse sequence transformations, ICML 2019",
        homepage="https://magenta.tensorflow.org/datasets/groove",
        licence="CC BY 4.0",
        role="instruments",
        use="Drums for accompaniment, each with its tempo and style.",
        size=5_111_599_714,
        keep=("info.csv", "*.mid", "*.wav", "LICENSE"),
        reader="hf_model.corpora.readers.instruments:read_groove",
        archives=(
            Archive(
                "groove-v1.0.0.zip",
                _MAGENTA + "groove/groove-v1.0.0.zip",
                "sha256:21559feb2f1c96ca53988fd4d7060b1f2afe1d854fb2a8dcea5ff95cf3cce7e9",
                5_111_599_714,
                strip=1,
            ),
        ),
        note="Hash and size as TensorFlow Datasets records them.",
    ),
    Corpus(
        name="openmic",
        title="OpenMIC-2018 (Zenodo record 1432913): 20,000 clips of ten seconds with labels for 20 instruments",
        citation="Humphrey et al., OpenMIC-2018: An open dataset for multiple instrument recognition, ISMIR 2018",
        homepage="https://zenodo.org/record/1432913",
        licence="CC, each recording its own",
        role="instruments",
        use="What other instruments sound like in a mix, for accompaniment and for hard cases.",
        size=2_623_376_754,
        keep=("openmic-2018-aggregated-labels.csv", "openmic-2018-metadata.csv", "partitions/*", "audio/*.ogg"),
        reader="hf_model.corpora.readers.instruments:read_openmic",
        archives=(
            Archive(
                "openmic-2018-v1.0.0.tgz",
                "https://zenodo.org/record/1432913/files/openmic-2018-v1.0.0.tgz",
                "md5:e4ccf187e2bb5ab2e115416e8aafe7f4",
                2_623_376_754,
                strip=1,
            ),
        ),
        note="The labels are CC BY 4.0; each recording stands under its own Creative Commons licence, mostly "
        "non-commercial, which its record carries. MD5 and size as quoted by several public projects; no sha256.",
    ),
)

CORPORA: dict[str, Corpus] = {corpus.name: corpus for corpus in _ENTRIES}
"""Every corpus by name."""
